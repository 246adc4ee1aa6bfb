"""The synthetic city: street videos, labelled benchmarks and attributes with known truth.

Everything is drawn with OpenCV and numpy out of named random streams, so that one seed gives one
city, byte for byte. Knows nothing of learning. `city.draw_city` draws it all; `looks` and `figure`
draw people, `camera` and `background` what they walk past.
"""
