package countersign.authz

parts := regex.split("[/.]", input.path)

numbers_in := regex.find_n("[0-9]+", input.path, -1)

cleaned := regex.replace(input.path, "[^a-z]", "")

allow if {
	count(parts) == 4
	numbers_in == ["1", "22"]
}

allow if cleaned == "apiagents"

reason := cleaned
