"""PDM, the video half of DMAD (Liu et al., CVPR 2023), lesson-sized: the next frame from the four before it.

A memory of normal appearance gives a reference of the next frame, and a flow of a few pixels deforms it to fit. What
cannot be put together in that way, in shape or in motion, is anomalous.
"""
