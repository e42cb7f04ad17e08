a contains x if some x in [1, 2.5, "x", null, true, {"k": [1, {2}]}]
b[k] := v if some k, v in {"one": 1, "two": 2}
decision := object.union({"effect": "allow"}, {"reason": trim(json.marshal(time.now_ns()), "0")}) if {
	count(a) == 6; sum([1, 2]) + b.one * 2 / 1 % 3 > 0
	glob.match("*.x", ["."], "a.x"); semver.is_valid("1.0.0")
	bits.lsh(1, 4) == 16
	units.parse_bytes("10KB") == 10000; base64.decode(base64.encode("x")) == "x"
	replace("aaa", "a", "b") == "bbb"; split("a,b", ",")[_] == "a"
	to_number("10") == 10; json.unmarshal("{\"a\": 1e3}").a == 1000
}
