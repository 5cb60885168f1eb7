"""What is asked of the views: lists, single rows, many at once; and the cache in front of them."""
