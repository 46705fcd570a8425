"""From a table or an image file to float32 rows: loading, splitting, encoding, metrics."""
