"""Tables and what they say of images: columns, labels, groups, places."""
