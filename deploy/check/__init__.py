"""`make image-check`: the image is built, and the stack of `docker-compose.yml` is run from it and put to the test."""
