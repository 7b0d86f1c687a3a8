"""Mean image: how far each pixel's colour is from that of the mean normal image. A baseline without a paper."""
