"""What turns an image and its header into one annotation. Training and the model follow."""
