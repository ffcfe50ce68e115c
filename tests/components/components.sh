#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Checks what other build systems read: that the manifests have the right form, and that CMake finds
# the files of port/zephyr and of the component of ESP-IDF. Functions of Zephyr and of ESP-IDF are here
# as far as these use them.
#	components.sh BUILD-DIR      after make components
set -u
build=$(realpath "${1:?usage: components.sh BUILD-DIR}")
here=$(realpath "$(dirname "$0")")
tree=$(realpath "$here/../..")
. "$here/../firmware/ok.sh"
dir=$build/components/test
rm -rf "$dir" && mkdir -p "$dir" && cd "$dir" || exit 1

yaml_has() { # FILE EXPRESSION: the expression in Python is true of the data d of the file
	/usr/bin/python3 -c 'import sys, yaml; d = yaml.safe_load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$@"
}

library_json() {
	/usr/bin/python3 - "$build/components/platformio/qcow2" <<'END_OF_PYTHON'
import json, os, re, sys
folder = sys.argv[1]
d = json.load(open(folder + "/library.json"))
assert d["name"] == "qcow2" and re.fullmatch(r"\d+\.\d+\.\d+", d["version"]) and d["license"] == "MIT"
assert os.listdir(folder + "/" + d["build"]["srcDir"]) == ["qcow2_core.c"]
assert os.path.exists(os.path.join(folder, d["build"]["includeDir"], d["headers"]))
END_OF_PYTHON
}

options() { # Kconfig gives these values if QCOW2 and QCOW2_ZSTD are switched on
	mkdir -p kconfig/subsys/logging && printf '%s\n' 'config $(module)_LOG_LEVEL' '	int' '	default 3' \
		>kconfig/subsys/logging/Kconfig.template.log_config &&
		printf '%s\n' 'config DISK_ACCESS' '	def_bool y' 'config FILE_SYSTEM' '	def_bool y' \
			"source \"$tree/port/zephyr/Kconfig\"" >kconfig/Kconfig || return 1
	srctree=kconfig /usr/bin/python3 - <<'END_OF_PYTHON'
import kconfiglib
k = kconfiglib.Kconfig("Kconfig")
k.syms["QCOW2"].set_value("y")
k.syms["QCOW2_ZSTD"].set_value("y")
got = " ".join(name + "=" + sym.str_value for name, sym in sorted(k.syms.items()) if name.startswith("QCOW2"))
assert not k.warnings, k.warnings
assert got == "QCOW2=y QCOW2_DISK=y QCOW2_FILE=y QCOW2_LOG_LEVEL=3 QCOW2_ZSTD=y QCOW2_ZSTD_CLUSTER_BITS=16", got
END_OF_PYTHON
}

# The sources of the library that CMake makes of a folder, as names without their folder.
sources() { # NAME FOLDER DEFINITION...
	local name=$1 folder=$2
	shift 2
	mkdir -p "$name" && cat >"$name/CMakeLists.txt" <<END_OF_CMAKE
cmake_minimum_required(VERSION 3.16)
project($name C)
function(idf_component_register)
  cmake_parse_arguments(PARSE_ARGV 0 it "" "" "SRCS;INCLUDE_DIRS")
  add_library(it STATIC \${it_SRCS})
  target_include_directories(it PUBLIC \${it_INCLUDE_DIRS})
  file(WRITE ${dir}/$name/sources "\${it_SRCS}")
endfunction()
function(zephyr_include_directories)
endfunction()
function(zephyr_library_named name)
  add_library(it STATIC)
endfunction()
function(zephyr_library_sources)
  target_sources(it PRIVATE \${ARGV})
  file(APPEND ${dir}/$name/sources "\${ARGV};")
endfunction()
add_subdirectory($folder module)
END_OF_CMAKE
	cmake -S "$name" -B "$name/out" "$@" >"$name/log" 2>&1 || { cat "$name/log"; return 1; }
	tr ';' '\n' <"$name/sources" | sed 's|.*/||' | sort
}

core_set() { # SET...: the names in sets of src/sources.mk
	printf 'include %s/src/sources.mk\nall: ; @printf "%%s\\n" %s\n' "$tree" "$(printf '$(%s) ' "$@")" | make -s -f - | sort
}

same() { # WANT COMMAND...
	local want=$1
	shift
	diff <(echo "$want") <("$@")
}

deflate=(QCOW2_CORE_READ QCOW2_CORE_UNPACK QCOW2_CORE_DEFLATE_SMALL)
all=$(printf '%s\n' "$(core_set "${deflate[@]}" QCOW2_CORE_ZSTD_SMALL)" status.c qcow2_disk.c qcow2_file.c | sort)
least=$(printf '%s\n' "$(core_set "${deflate[@]}")" status.c | sort)

ok 'library.json names files that exist' library_json
ok 'idf_component.yml has a version' yaml_has "$build/components/esp-idf/qcow2/idf_component.yml" \
	'd["version"].count(".") == 2 and d["license"] == "MIT"'
ok 'the component of ESP-IDF has its source' same qcow2_core.c sources idf "$build/components/esp-idf/qcow2"
ok 'module.yml names the files of the module' yaml_has "$tree/port/zephyr/zephyr/module.yml" \
	'__import__("os").path.exists("'"$tree"'/port/zephyr/" + d["build"]["kconfig"]) and d["build"]["cmake"] == "."'
ok 'Kconfig has the options of the module' options
ok 'the module of Zephyr has all sources' same "$all" sources zephyr "$tree/port/zephyr" -DCONFIG_QCOW2=y \
	-DCONFIG_QCOW2_ZSTD=y -DCONFIG_QCOW2_DISK=y -DCONFIG_QCOW2_FILE=y
ok 'the module of Zephyr leaves out what is off' same "$least" sources zephyr-least "$tree/port/zephyr" \
	-DCONFIG_QCOW2=y
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
