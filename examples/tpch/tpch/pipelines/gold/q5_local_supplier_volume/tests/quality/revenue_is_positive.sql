-- @severity: error
-- @description: a nation without revenue is not listed
SELECT nation_name, revenue FROM {{ this }} WHERE revenue <= 0
