"""Who may call which route: the contract's table, written down once more (ASVS 8.2.1).

A route that the shipped server has and that is not here fails a test. Of routes with somebody's
`user_id` or `order_id` that customers may call, a test asks for what is another customer's: 404.
"""

EVERYBODY = {"anonymous", "customer", "staff", "auditor", "admin"}
SIGNED_IN = EVERYBODY - {"anonymous"}
BUYERS = {"customer", "staff", "admin"}
STAFF = {"staff", "admin"}
AUDITORS = {"auditor", "admin"}
ADMIN = {"admin"}

ROUTES = {
    ("POST", "/api/v1/users"): EVERYBODY,
    ("POST", "/api/v1/auth/login"): EVERYBODY,
    ("POST", "/api/v1/auth/refresh"): EVERYBODY,
    ("POST", "/api/v1/auth/logout"): SIGNED_IN,
    ("PUT", "/api/v1/users/{user_id:str}"): SIGNED_IN,
    ("PATCH", "/api/v1/users/{user_id:str}"): SIGNED_IN,
    ("DELETE", "/api/v1/users/{user_id:str}"): SIGNED_IN,
    ("DELETE", "/api/v1/users/{user_id:str}/personal-data"): SIGNED_IN,
    ("GET", "/api/v1/users/{user_id:str}/personal-data"): SIGNED_IN,
    ("PUT", "/api/v1/users/{user_id:str}/password"): SIGNED_IN,
    ("PUT", "/api/v1/users/{user_id:str}/role"): ADMIN,
    ("POST", "/api/v1/users/{user_id:str}/orders"): BUYERS,
    ("POST", "/api/v1/products"): STAFF,
    ("PATCH", "/api/v1/products/{product_id:str}"): STAFF,
    ("DELETE", "/api/v1/products/{product_id:str}"): STAFF,
    ("POST", "/api/v1/products/{product_id:str}/stock-adjustments"): STAFF,
    ("POST", "/api/v1/orders"): BUYERS,
    ("POST", "/api/v1/orders/{order_id:str}/payment"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/shipment"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/delivery"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/cancellation"): BUYERS,
    ("POST", "/api/v1/orders/{order_id:str}/refund"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/notes"): STAFF,
    ("POST", "/api/v1/reactions/{reaction:str}/failures/retry"): ADMIN,
    ("POST", "/api/v1/reactions/{reaction:str}/failures/{position:int}/retry"): ADMIN,
    ("POST", "/api/v1/reactions/{reaction:str}/failures/{position:int}/skip"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/pause"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/resume"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/rebuild"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/compare"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/throttle"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/swap"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/cancel"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/rollback"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/prune"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/failures/retry"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/failures/{position:int}/retry"): ADMIN,
    ("POST", "/api/v1/projections/{projection:str}/failures/{position:int}/skip"): ADMIN,
    ("GET", "/api/v1/users"): STAFF | AUDITORS,
    ("GET", "/api/v1/admin/users"): ADMIN,
    ("GET", "/api/v1/users/me"): SIGNED_IN,
    ("GET", "/api/v1/users/{user_id:str}"): SIGNED_IN,
    ("GET", "/api/v1/users/{user_id:str}/orders"): SIGNED_IN,
    ("GET", "/api/v1/products"): EVERYBODY,
    ("GET", "/api/v1/products/{product_id:str}"): EVERYBODY,
    ("GET", "/api/v1/orders"): SIGNED_IN,
    ("GET", "/api/v1/orders/{order_id:str}"): SIGNED_IN,
    ("GET", "/api/v1/orders/{order_id:str}/events"): SIGNED_IN,
    ("GET", "/api/v1/feed"): STAFF,
    ("GET", "/api/v1/reports/sales"): STAFF | AUDITORS,
    ("GET", "/api/v1/projections"): ADMIN,
    ("GET", "/api/v1/projections/{projection:str}"): ADMIN,
    ("GET", "/api/v1/projections/{projection:str}/operations"): ADMIN,
    ("GET", "/api/v1/projections/{projection:str}/operations/{operation_id:str}"): ADMIN,
    ("GET", "/api/v1/projections/{projection:str}/rebuilds"): ADMIN,
    ("GET", "/api/v1/projections/{projection:str}/rebuilds/{rebuild_id:int}"): ADMIN,
    ("GET", "/api/v1/projections/{projection:str}/failures"): ADMIN,
    ("GET", "/api/v1/projections/{projection:str}/failures/{position:int}"): ADMIN,
    ("GET", "/api/v1/reactions"): ADMIN,
    ("GET", "/api/v1/reactions/{reaction:str}"): ADMIN,
    ("GET", "/api/v1/reactions/{reaction:str}/failures"): ADMIN,
    ("GET", "/api/v1/reactions/{reaction:str}/failures/{position:int}"): ADMIN,
    ("GET", "/api/v1/reactions/{reaction:str}/operations"): ADMIN,
    ("GET", "/api/v1/reactions/{reaction:str}/operations/{operation_id:int}"): ADMIN,
    ("GET", "/api/v1/audit/events"): AUDITORS,
    ("GET", "/api/v1/audit/events/{position:str}"): AUDITORS,
    ("GET", "/api/v1/audit/streams/{stream_id:str}"): AUDITORS,
    ("GET", "/api/v1/audit/accesses"): AUDITORS,
    ("GET", "/api/v1/audit/export"): AUDITORS,
    ("GET", "/api/v1/audit/export/proof"): AUDITORS,
    ("GET", "/api/v1/audit/head"): EVERYBODY,
    ("GET", "/api/v1/audit/keys"): EVERYBODY,
    ("GET", "/api/v1/audit/sign-ins"): AUDITORS,
    ("GET", "/api/v1/audit/proofs/inclusion"): AUDITORS,
    ("GET", "/api/v1/audit/proofs/consistency"): AUDITORS,
}
# The views that version 2 has as well.
ROUTES |= {
    ("GET", path.replace("/v1/", "/v2/")): ROUTES["GET", path]
    for path in (
        "/api/v1/users",
        "/api/v1/admin/users",
        "/api/v1/users/me",
        "/api/v1/users/{user_id:str}",
        "/api/v1/users/{user_id:str}/orders",
        "/api/v1/products",
        "/api/v1/products/{product_id:str}",
        "/api/v1/orders",
        "/api/v1/orders/{order_id:str}",
        "/api/v1/reports/sales",
    )
}
# To auditors only as they were; version 2 has no past.
PAST_TO_AUDITORS = ("/api/v1/users", "/api/v1/reports/sales")
ROUTES |= {("GET", path.replace("/v1/", "/v2/")): STAFF for path in PAST_TO_AUDITORS}
COMMANDS = {route: who for route, who in ROUTES.items() if route[0] != "GET"}
VIEWS = {path: who for (method, path), who in ROUTES.items() if method == "GET"}

# Outside of the API proper; OPTIONS is answered everywhere.
OUTSIDE = {
    ("GET", "/health/live"): EVERYBODY,
    ("GET", "/health/ready"): EVERYBODY,
    ("GET", "/metrics"): EVERYBODY,
    ("GET", "/openapi.json"): EVERYBODY,
    ("GET", "/openapi-v2.json"): EVERYBODY,
    ("GET", "/graphql"): EVERYBODY,  # who may see what is decided by the resolvers, as in REST
    ("POST", "/graphql"): EVERYBODY,
    ("GET", "/graphql/explorer.js"): EVERYBODY,
    ("GET", "/docs"): EVERYBODY,
    ("GET", "/docs/docs.js"): EVERYBODY,
    ("GET", "/docs/docs.css"): EVERYBODY,
}
