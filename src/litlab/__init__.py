"""litlab: pick data, model, optimizer and trainer; get a trained, tested and recorded experiment."""
