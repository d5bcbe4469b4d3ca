-- @severity: warn
-- @description: a segment that the reports do not know is reported, not refused
SELECT c_mktsegment, count(*) AS customers
FROM {{ this }}
WHERE c_mktsegment NOT IN ('AUTOMOBILE', 'BUILDING', 'FURNITURE', 'HOUSEHOLD', 'MACHINERY')
GROUP BY c_mktsegment
