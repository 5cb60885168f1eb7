"""News on their way to the workers, over Redis or RabbitMQ."""
