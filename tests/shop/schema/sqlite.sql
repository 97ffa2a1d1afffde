-- The index that order_line(order_id) needs is missing on purpose: finding that is the exercise.
-- No foreign keys either: checking them costs more per row than an index does, and would hide
-- what an index adds to a write.
CREATE TABLE product (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    price_cents INTEGER NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    placed_at INTEGER NOT NULL -- Unix seconds
);
CREATE TABLE order_line (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL,
    product_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    unit_price_cents INTEGER NOT NULL
);
