print("pgtee")
