-- @description: Takes some seconds, so that something may happen meanwhile.
-- @merge_strategy: full_refresh
WITH digits AS (SELECT * FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS v(digit))
SELECT max(sha512(concat(a.digit, b.digit, c.digit, d.digit, e.digit, f.digit, g.digit))) AS largest, count(*) AS numbers
FROM digits AS a
CROSS JOIN digits AS b
CROSS JOIN digits AS c
CROSS JOIN digits AS d
CROSS JOIN digits AS e
CROSS JOIN digits AS f
CROSS JOIN digits AS g
