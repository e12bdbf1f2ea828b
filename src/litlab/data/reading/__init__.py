"""The files of others: tables, arrays, images and texts as they lie on the disk, and downloads."""
