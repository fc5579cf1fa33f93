"""
The Hubble Deep Field by class
==============================

What ``astrodlkit demo`` does, in Python: detect with photutils, classify, and
draw the most certain sources of each class.
"""

# %%
# The picture is in scikit-image. It has colours, but no WCS: positions are in
# pixels.

import matplotlib.pyplot as plt
import numpy as np
from photutils.background import Background2D
from photutils.segmentation import SourceCatalog, detect_sources
from skimage.data import hubble_deep_field

picture = hubble_deep_field()
data = {"red": picture[..., 0], "green": picture[..., 1], "blue": picture[..., 2]}

grey = picture.mean(axis=2)
background = Background2D(grey, 128)
grey -= background.background
segments = detect_sources(grey, 3 * background.background_rms, 80)
catalog = SourceCatalog(grey, segments)
print(f"{len(segments.labels)} sources")

# %%
# The size of each source, which its stamp follows, is read off the catalogue.

from astrodlkit import classify_cutouts, decode_flags  # noqa: E402

result = classify_cutouts(catalog, data, views=4)
for name, count in zip(*np.unique(result["class"], return_counts=True), strict=True):
    print(f"{count:4d} {name}")

# %%
# Sources at the border have part of their stamp off the image. They are not
# left out, but flagged.

names = decode_flags(result["flags"])
print(sum("partial_overlap" in row for row in names), "reach over the border")

# %%
# The pictures, as the network saw them:

from astrodlkit.classify import plot_gallery  # noqa: E402

plot_gallery(result, data, figure=plt.figure(), n_rows=2)
plt.show()
