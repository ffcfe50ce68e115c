# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What the tests of crafted images share: the first lines of recipes, and comparing with QEMU."""
from conform import PLUGIN, cat_spans, cluster_spans, qemu_spans, served_spans

V3 = "version 3\ncluster_bits 12\nsize 64k\n"
V2 = "version 2\ncluster_bits 12\nsize 64k\n"
DATA_FILE = 'version 3\ncluster_bits 12\nsize 64k\ndata_file "disk.raw"\n'
FULL = "l2 0-3 data\nl2 4 zero\nl2 5 zero_alloc\nl2 6 compressed\nl2 7 data\n"


def same_clusters(image, *options):
    """Compares cluster by cluster: QEMU, the command and, where it is built, the plugin for nbdkit read
    the same bytes, or all fail."""
    spans = cluster_spans(image)
    theirs = qemu_spans(image, spans)
    ours = cat_spans(image, spans, *options, directory=image.parent)
    for (off, _), a, b in zip(spans, theirs, ours):
        assert a == b, f"cluster at {off}: qemu {a and a[:16]}, we {b and b[:16]}"
    if PLUGIN.exists():
        assert served_spans(image, spans, *options) == ours
    return ours
