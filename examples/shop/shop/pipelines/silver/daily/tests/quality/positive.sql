-- @severity: error
SELECT * FROM {{ this }} WHERE revenue <= 0
