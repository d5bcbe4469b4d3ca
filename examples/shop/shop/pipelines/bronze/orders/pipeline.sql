-- @description: Orders, as they arrive.
-- @merge_strategy: full_refresh
SELECT order_id, CAST(order_date AS DATE) AS order_date, CAST(price AS DECIMAL(12, 2)) AS price
FROM read_csv('{{ landing_zone('orders', '*.csv') }}')
