"""The parts of hostile bodies: texts, numbers, types, names and bytes."""

TEXTS = (
    "", " ", "x", "\0", "\x7f", "é", "e\u0301", "ß", "İ", "\u017f", "\u212a", "日本", "😀",
    "👨\u200d👩\u200d👧", "\u202egnp.exe", "\u2028\u2029", "\ufeff", "\ufffe", "\uffff",
    "\U0010ffff", "\uff41", "Ω", "\u200b", "'; DROP TABLE t; --", '"', "\\", "\\u0000", "${7*7}",
    "{{x}}", "%s%n", "../../etc/passwd", "NaN", "null", "true", "1", "-0", "\r\nX-Injected: 1",
    "a" * 5_000, "\U0001f600" * 500,
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "-1", "1.0", "1e0", "0.1", "-0.0", "5e-324", "1e-400", "1e308", "1e309",
    "-1e400", "1e999999999", "1e-999999999", "1e99999999999999999999", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "1" * 400, "9" * 5_000, "0." + "0" * 400 + "1", "0.1234567890123456789012345678901234567890",
    "99999999999999999999999999999.999999999", "01", "1.", ".5", "+1", "0x10", "1_000", "1e",
    "\u0661", "NaN", "Infinity", "-Infinity",
)  # fmt: skip
TYPES: dict[str, tuple[str, ...]] = {
    "INTEGER": ("1", "-9223372036854775808", "null"),
    "bigint": ("0", "9223372036854775807"),
    "TEXT": ('"x"', '""', r'"\u0000\ud83d\ude00"', '"é😀"'),
    "varchar( 3 )": ('"abc"', '"é"'),
    "DOUBLE  PRECISION": ("0.5", "1", "-0.0"),
    "BOOL": ("true", "false"),
    "DECIMAL(10,2)": ("1.50", '"-1.5"', "12345678.9"),
    "Numeric": ('"0.000000001"',),
    "DECIMAL(38,20)": ('"0.12345678901234567891"',),
    "DATE": ('"2024-02-29"', '"0001-01-01"'),
    "TIME": ('"23:59:59.999999"', '"00:00"'),
    "DATETIME": ('"2018-03-27 11:58:28.988414"',),
    "TIMESTAMPTZ": ('"2018-03-27T11:58:28+02:00"', '"9999-12-31T23:59:59Z"'),
    "JSONB": ('{"a": [1, null, {"b": 2}]}', "[]", '""', "1.5"),
    "BYTEA": ('"AAEC"', '""'),
    "BINARY(4)": ('"AAEC"',),
}
ODD_TYPES = (
    "", " ", "INT(1)", "VARCHAR", "VARCHAR(0)", "VARCHAR(-1)", "DECIMAL(39,39)", "DECIMAL(0)",
    "DECIMAL(77,38)", "DECIMAL(1,2)", "DECIMAL(10,2", "\uff29\uff2e\uff34", "INTEGER\0",
    "INTEGER;", "\u0131nteger", "VARCHAR(٣)", "TEXT" * 50, "DECIMAL(" + "9" * 80 + ")",
    "ARRAY<INT64>", "GEOMETRY",
)  # fmt: skip
NAMES = (
    "gatekeeper_ledger", "GateKeeper_x", "_table_x", "_PARTITIONTIME", "1a", "a-b", "a.b", "`a`",
    "a b", "á", "\uff41", "a\n", "a" * 300, "a" * 301, "t" * 1_024, "t" * 1_025, "t1$20240101",
)  # fmt: skip
BITES = (
    b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf",
    b"\xe2\x80\xa8", rb"\ud800", rb"\udc00\ud800", rb"\u0000", rb"\x", b'"', b"\\", b"{", b"}",
    b"[", b"]", b",", b":", b"//", b"/**/", b"\n", b"\r", b"\x0b", b"\xc2\xa0", b"NaN", b"1e999",
    b"'", b"null",
)  # fmt: skip
