"""What lies on disk, and how it is read: lists of files, images, tables; without Lightning."""
