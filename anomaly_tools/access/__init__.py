"""What a machine can check of access: alternative text, order of headings, colours, stills beside motion."""
