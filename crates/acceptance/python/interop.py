"""RAT seen by PyIceberg and DuckDB.

Each command checks claims against a running RAT and prints one line per claim that held;
the first that does not hold ends it with a non-zero status.
"""

import argparse
import datetime
import decimal
import json
import math
import random
import sys
import time
import urllib.request

import duckdb
import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchTableError,
    TableAlreadyExistsError,
)

ZONES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]
PARQUET = {"part", "orders"}

QUERIES = {
    "q1_pricing_summary": """
        SELECT l_returnflag AS return_flag, l_linestatus AS line_status,
               sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
               sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
               sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
               avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price,
               avg(l_discount) AS avg_disc, count(*) AS count_order
        FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY
        GROUP BY ALL ORDER BY ALL""",
    "q3_shipping_priority": """
        SELECT l_orderkey AS order_key, sum(l_extendedprice * (1 - l_discount)) AS revenue,
               o_orderdate AS order_date, o_shippriority AS ship_priority
        FROM customer, orders, lineitem
        WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
          AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
        GROUP BY ALL ORDER BY revenue DESC, order_date, order_key LIMIT 10""",
    "q5_local_supplier_volume": """
        SELECT n_name AS nation_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM customer, orders, lineitem, supplier, nation, region
        WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey
          AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey
          AND n_regionkey = r_regionkey AND r_name = 'ASIA'
          AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01'
        GROUP BY ALL ORDER BY revenue DESC""",
    "q6_forecast_revenue": """
        SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
        WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
          AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
}

LINEITEM = {
    name: "DECIMAL(15,2)" for name in ["l_quantity", "l_extendedprice", "l_discount", "l_tax"]
}


def claim(text):
    print("ok:", text, flush=True)


def fail(text):
    sys.exit(f"FAILED: {text}")


def require(condition, text):
    if not condition:
        fail(text)


def catalog(url):
    return RestCatalog("rat", uri=f"{url}/iceberg")


def rat_query(url, sql, namespace="tpch", limit=100000):
    body = json.dumps({"sql": sql, "namespace": namespace, "limit": limit}).encode()
    request = urllib.request.Request(
        f"{url}/api/v1/query", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["rows"]


def plain(value):
    """A cell as both sides can compare it: numbers as numbers, days as ISO text."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return value
    if isinstance(value, str):
        try:
            return decimal.Decimal(value)
        except decimal.InvalidOperation:
            return value
    return value


def same(left, right):
    left, right = plain(left), plain(right)
    if isinstance(left, float) or isinstance(right, float):
        return math.isclose(float(left), float(right), rel_tol=1e-9)
    return left == right


def compare(name, expected, actual):
    """`expected` and `actual` are lists of dicts in the same order."""
    require(len(expected) == len(actual), f"{name}: {len(expected)} rows expected, {len(actual)} found")
    for number, (want, have) in enumerate(zip(expected, actual)):
        require(set(want) == set(have), f"{name}: columns {sorted(want)} expected, {sorted(have)} found")
        for column in want:
            require(
                same(want[column], have[column]),
                f"{name}: row {number}, {column}: {want[column]!r} expected, {have[column]!r} found",
            )


def duckdb_tables(data):
    connection = duckdb.connect()
    for zone in ZONES:
        if zone in PARQUET:
            source = f"read_parquet('{data}/{zone}/*.parquet')"
        else:
            types = f", types={LINEITEM}" if zone == "lineitem" else ""
            source = f"read_csv('{data}/{zone}/*.csv', header=true{types})"
        connection.execute(f"CREATE VIEW {zone} AS SELECT * FROM {source}")
    return connection


def gold(url, data):
    """The gold tables are what DuckDB computes from the same landing files."""
    connection = duckdb_tables(data)
    for name, sql in QUERIES.items():
        result = connection.execute(sql)
        columns = [column[0] for column in result.description]
        expected = [dict(zip(columns, row)) for row in result.fetchall()]
        order = {"q1_pricing_summary": "return_flag, line_status", "q6_forecast_revenue": "1"}
        by = order.get(name, "revenue DESC")
        actual = rat_query(url, f"SELECT * FROM gold.{name} ORDER BY {by}")
        require(expected, f"{name}: DuckDB found nothing to compare with")
        compare(name, expected, actual)
        claim(f"gold.{name} equals DuckDB's result ({len(expected)} rows)")


def read(url):
    """PyIceberg reads the same rows as `rat query`."""
    tables = catalog(url)
    for layer, name, key in [
        ("bronze", "nation", "n_nationkey"),
        ("bronze", "part", "p_partkey"),
        ("silver", "supplier_nations", "supplier_key"),
        ("gold", "q1_pricing_summary", "return_flag, line_status"),
    ]:
        arrow = tables.load_table(("tpch", layer, name)).scan().to_arrow()
        arrow = arrow.sort_by([(column.strip(), "ascending") for column in key.split(",")])
        rows = rat_query(url, f"SELECT * FROM {layer}.{name} ORDER BY {key}")
        compare(f"{layer}.{name}", arrow.to_pylist(), rows)
        claim(f"PyIceberg and rat query agree on {layer}.{name} ({len(rows)} rows)")
    metadata = tables.load_table(("tpch", "bronze", "lineitem")).metadata
    require(set(metadata.refs) == {"main"}, f"only main is left, found {sorted(metadata.refs)}")
    claim("no run left a branch behind")


def write(url):
    """What PyIceberg creates and appends, RAT reads; the catalog refuses by the spec."""
    tables = catalog(url)
    try:
        tables.create_namespace(("interop",))
    except NamespaceAlreadyExistsError:
        pass
    require(("interop",) in tables.list_namespaces(), "the new namespace is listed")
    name = ("interop", "bronze", "readings")
    rows = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),
            "at": pa.array([datetime.datetime(2026, 1, day) for day in (1, 2, 3)], pa.timestamp("us")),
            "value": pa.array([0.5, None, 1.5], pa.float64()),
            "tag": pa.array(["a", "b", None], pa.string()),
        }
    )
    table = tables.create_table(name, schema=rows.schema)
    table.append(rows)
    table.append(rows)
    claim("PyIceberg created a table and appended to it twice")
    found = rat_query(url, "SELECT count(*) AS n, sum(value) AS s FROM bronze.readings", "interop")
    compare("readings", [{"n": 6, "s": 4.0}], found)
    claim("RAT reads what PyIceberg wrote")
    table.delete("id = 2")
    found = rat_query(url, "SELECT count(*) AS n FROM bronze.readings", "interop")
    compare("readings after delete", [{"n": 4}], found)
    claim("RAT sees PyIceberg's delete")
    table.overwrite(rows.slice(0, 1))
    found = rat_query(url, "SELECT id, tag FROM bronze.readings", "interop")
    compare("readings after overwrite", [{"id": 1, "tag": "a"}], found)
    claim("RAT sees PyIceberg's overwrite")
    with table.update_schema() as change:
        change.add_column("unit", pyiceberg_string())
    found = rat_query(url, "SELECT id, unit FROM bronze.readings", "interop")
    compare("readings with a new column", [{"id": 1, "unit": None}], found)
    claim("RAT sees PyIceberg's schema change")
    try:
        tables.create_table(name, schema=rows.schema)
        fail("a second create of the same table must be refused")
    except TableAlreadyExistsError:
        claim("creating an existing table is refused by the spec's error")
    stale = tables.load_table(name)
    tables.load_table(name).append(rows.append_column("unit", pa.nulls(3, pa.string())))
    try:
        with stale.update_schema() as change:
            change.add_column("late", pyiceberg_string())
        # A schema change does not depend on the snapshot: the spec lets it through.
    except CommitFailedException:
        pass
    claim("a stale handle gets the spec's answer")
    try:
        tables.drop_namespace(("interop",))
        fail("a namespace with tables must not be dropped")
    except NamespaceNotEmptyError:
        claim("dropping a namespace that has tables is refused")
    tables.drop_table(name, purge_requested=True)
    try:
        tables.load_table(name)
        fail("a dropped table must be gone")
    except NoSuchTableError:
        claim("a dropped table is gone")
    require(not tables.table_exists(name), "exists answers no for a dropped table")


def evolve(url):
    """What PyIceberg makes of a table's columns, RAT finds in files that are older."""
    from pyiceberg.types import BinaryType, IntegerType, ListType, TimeType

    tables = catalog(url)
    try:
        tables.create_namespace(("interop",))
    except NamespaceAlreadyExistsError:
        pass
    name = ("interop", "bronze", "evolving")
    point = pa.struct([("x", pa.int32()), ("y", pa.int32())])
    rows = pa.table(
        {
            "a": pa.array([1, 2], pa.int32()),
            "b": pa.array([10, 20], pa.int32()),
            "st": pa.array([{"x": 1, "y": 2}, None], point),
            "l": pa.array([[{"x": 1, "y": 2}, None], []], pa.list_(point)),
            "m": pa.array([[("k", {"x": 1, "y": 2})], None], pa.map_(pa.string(), point)),
        }
    )
    table = tables.create_table(name, schema=rows.schema)
    table.append(rows)

    def agree(what):
        arrow = tables.load_table(name).scan().to_arrow().sort_by("a")
        found = rat_query(url, "SELECT * FROM bronze.evolving ORDER BY a", "interop")
        require(list(found[0]) == arrow.column_names, f"{what}: columns {list(found[0])}")
        for column in ("a", "b", "st"):
            compare(f"{what}: {column}", arrow.select([column]).to_pylist(), [{column: row[column]} for row in found])
        return found

    with table.update_schema() as change:
        for path in (("st", "z"), ("l", "element", "z"), ("m", "value", "z")):
            change.add_column(path, IntegerType())
    found = agree("new fields")
    require(found[0]["st"] == {"x": 1, "y": 2, "z": None}, f"st is {found[0]['st']}")
    require(found[0]["l"] == [{"x": 1, "y": 2, "z": None}, None], f"l is {found[0]['l']}")
    claim("fields that PyIceberg added to structs are null in older files")
    with table.update_schema() as change:
        change.move_first("b")
        change.move_first(("st", "y"))
    agree("moved")
    with table.update_schema() as change:
        change.rename_column(("st", "x"), "other")
    with table.update_schema() as change:
        change.rename_column(("st", "y"), "x")
    with table.update_schema() as change:
        change.rename_column(("st", "other"), "y")
    found = agree("names that changed hands")
    require(found[0]["st"] == {"x": 2, "y": 1, "z": None}, f"st is {found[0]['st']}")
    claim("columns and fields that PyIceberg moved or renamed keep their values")
    with table.update_schema(allow_incompatible_changes=True) as change:
        change.delete_column("b")
    with table.update_schema() as change:
        change.add_column("b", IntegerType())
        change.add_column("at", TimeType())
        change.add_column("bytes", BinaryType())
        change.add_column("tags", ListType(900, IntegerType(), element_required=False))
    found = rat_query(url, "SELECT b, at, bytes, tags FROM bronze.evolving", "interop")
    compare("added again", [{"b": None, "at": None, "bytes": None, "tags": None}] * 2, found)
    found = rat_query(url, "SELECT b FROM bronze.evolving", "interop")
    compare("added again, alone", [{"b": None}] * 2, found)
    claim("columns that PyIceberg added, and one that it dropped before, are null")
    tables.drop_table(name, purge_requested=True)


def pyiceberg_string():
    from pyiceberg.types import StringType

    return StringType()


def create(url, identifier):
    """Creates the table that the writers append to."""
    namespace, layer, name = identifier.split(".")
    tables = catalog(url)
    tables.create_namespace_if_not_exists((namespace,))
    schema = pa.schema([("writer", pa.string()), ("sequence", pa.int64())])
    tables.create_table((namespace, layer, name), schema=schema)
    claim(f"created {identifier}")


def append(url, identifier, writer, seconds):
    """One writer: appends one row at a time and prints what was acknowledged."""
    namespace, layer, name = identifier.split(".")
    tables = catalog(url)
    schema = pa.schema([("writer", pa.string()), ("sequence", pa.int64())])
    end = time.monotonic() + seconds
    sequence, conflicts = 0, 0
    while time.monotonic() < end:
        row = pa.table({"writer": [writer], "sequence": [sequence]}, schema=schema)
        try:
            tables.load_table((namespace, layer, name)).append(row)
            sequence += 1
        except CommitFailedException:
            conflicts += 1
            time.sleep(random.uniform(0.01, 0.2))
    print(json.dumps({"writer": writer, "acknowledged": sequence, "conflicts": conflicts}))


def count(url, identifier):
    """Rows and distinct rows, as PyIceberg sees them."""
    table = catalog(url).load_table(tuple(identifier.split("."))).scan().to_arrow()
    rows = {(row["writer"], row["sequence"]) for row in table.to_pylist()}
    print(json.dumps({"rows": table.num_rows, "distinct": len(rows)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["gold", "read", "write", "evolve", "create", "append", "count"])
    parser.add_argument("url")
    parser.add_argument("rest", nargs="*")
    arguments = parser.parse_args()
    rest = arguments.rest
    if arguments.command == "append":
        rest = [rest[0], rest[1], float(rest[2])]
    globals()[arguments.command](arguments.url, *rest)


if __name__ == "__main__":
    main()
