"""GraphQL over the views: the same resources, permissions and codes as REST. It only reads."""
