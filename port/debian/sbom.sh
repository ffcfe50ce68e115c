#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Prints what a build is made of, as an SPDX 2.3 document in JSON: the library, and the libraries that it uses.
#	sbom.sh VERSION PACKAGE...      PACKAGE: as pkg-config knows it
# The time is SOURCE_DATE_EPOCH, or that of the last commit.
set -eu
version=$1
shift
seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
created=$(date -u -d "@$seconds" +%Y-%m-%dT%H:%M:%SZ)

package() { # NAME VERSION LICENCE COPYRIGHT
	cat <<-END
	    {
	      "SPDXID": "SPDXRef-Package-$1",
	      "name": "$1",
	      "versionInfo": "$2",
	      "downloadLocation": "NOASSERTION",
	      "filesAnalyzed": false,
	      "licenseConcluded": "$3",
	      "licenseDeclared": "$3",
	      "copyrightText": "$4",
	      "externalRefs": [
	        {
	          "referenceCategory": "PACKAGE-MANAGER",
	          "referenceType": "purl",
	          "referenceLocator": "pkg:generic/$1@$2"
	        }
	      ]
	    }
	END
}

relation() { # FROM TYPE TO
	printf '    { "spdxElementId": "%s", "relationshipType": "%s", "relatedSpdxElement": "%s" }' "$1" "$2" "$3"
}

licence_of() {
	case $1 in
	libdeflate) echo MIT ;;
	zlib) echo Zlib ;;
	libzstd) echo "BSD-3-Clause OR GPL-2.0-only" ;;
	libgcrypt) echo LGPL-2.1-or-later ;;
	libcrypto) echo Apache-2.0 ;;
	*) echo NOASSERTION ;;
	esac
}

cat <<END
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "libqcow2-$version",
  "documentNamespace": "urn:libqcow2:spdx:$version:$seconds:$(echo "$@" | tr ' ' '+')",
  "creationInfo": {
    "created": "$created",
    "creators": ["Tool: libqcow2-make-sbom-$version"]
  },
  "documentDescribes": ["SPDXRef-Package-libqcow2"],
  "packages": [
END
package libqcow2 "$version" MIT "$(sed -n 's/^Copyright (c) /Copyright /p' LICENSE)"
for name; do
	echo '    ,'
	its_version=$(${PKG_CONFIG:-pkg-config} --modversion "$name") # alone, so that a failure ends the script
	package "$name" "$its_version" "$(licence_of "$name")" NOASSERTION
done
printf '  ],\n  "relationships": [\n'
relation SPDXRef-DOCUMENT DESCRIBES SPDXRef-Package-libqcow2
for name; do
	printf ',\n'
	relation SPDXRef-Package-libqcow2 DEPENDS_ON "SPDXRef-Package-$name"
done
printf '\n  ]\n}\n'
