"""What the project is made of besides its own code: licences, versions, and where they come from.

make licences    write LICENCES.md, or say which licence does not go with MIT
make sbom        write _build/sbom.json, a bill of materials in CycloneDX's format
make lock        write requirements.lock and constraints-oldest.txt
"""
