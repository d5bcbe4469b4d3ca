-- @description: Revenue per day.
-- @merge_strategy: full_refresh
SELECT order_date, sum(price) AS revenue
FROM {{ ref('bronze.orders') }}
GROUP BY order_date
