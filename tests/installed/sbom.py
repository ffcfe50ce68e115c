#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Checks an SPDX 2.3 document in JSON: the fields that the standard asks for, and its references.

    sbom.py DOCUMENT VERSION PACKAGE...      the packages that it must name, and no others
"""
import json
import re
import sys

DOCUMENT = ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo")
PACKAGE = ("SPDXID", "name", "versionInfo", "downloadLocation", "filesAnalyzed", "licenseConcluded",
           "licenseDeclared", "copyrightText")


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        document = json.load(f)
    version, names = sys.argv[2], sys.argv[3:]
    assert all(document[field] for field in DOCUMENT)
    assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
    assert re.fullmatch(r"[a-z]+:[^#\s]+", document["documentNamespace"])
    info = document["creationInfo"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", info["created"]), info
    assert all(re.match(r"(Tool|Person|Organization): \S", who) for who in info["creators"])
    packages = {package["name"]: package for package in document["packages"]}
    assert sorted(packages) == sorted(["libqcow2", *names]), packages
    for package in packages.values():
        assert all(package[field] is not None and package[field] != "" for field in PACKAGE), package
        assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", package["SPDXID"])
        assert re.fullmatch(r"[A-Za-z0-9.+-]+( OR [A-Za-z0-9.+-]+)*", package["licenseConcluded"])
        assert re.match(r"\d", package["versionInfo"]), package
    ours = packages["libqcow2"]
    assert (ours["versionInfo"], ours["licenseConcluded"]) == (version, "MIT")
    assert "The qcow2 reader authors" in ours["copyrightText"]
    assert document["documentDescribes"] == [ours["SPDXID"]]
    relations = {(one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"])
                 for one in document["relationships"]}
    assert relations == {("SPDXRef-DOCUMENT", "DESCRIBES", ours["SPDXID"])} | {
        (ours["SPDXID"], "DEPENDS_ON", packages[name]["SPDXID"]) for name in names}


main()
