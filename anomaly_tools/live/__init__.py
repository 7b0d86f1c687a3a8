"""The live page: trained models in a browser, one folder, opened by double click, without server and network."""
