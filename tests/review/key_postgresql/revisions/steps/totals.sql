-- What the orders of each user come to; see columns.sql for the rest.
CREATE INDEX ix_orders_user_total ON orders (user_id, total);
UPDATE users SET notes = 'has orders' WHERE id IN (SELECT user_id FROM orders);
