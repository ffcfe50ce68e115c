# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# What distributions need: packages, releases, and what is in them.

#: deb          build the Debian packages into build/deb (needs debhelper and what port/debian/control names)
#: dist         write the release build/libqcow2-VERSION.tar.gz from the last commit, always the same bytes
#: sbom         write what the build is made of, as SPDX 2.3: build/libqcow2.spdx.json
#: abi          compare the shared library with the ABI of the last release (UPDATE=1 stores today's)

RELEASE = libqcow2-$(VERSION)
DEB = $(O)/deb
ABI = port/debian/libqcow2.abi
ABIDW = abidw --header-file include/qcow2.h --drop-private-types --exported-interfaces-only --no-corpus-path \
	--no-comp-dir-path --no-show-locs --no-elf-needed --no-write-default-sizes --no-parameter-names

# The build of the packages gets none of the variables of this make, such as O. The time stamps in them
# are those of the changelog, so that a second build has the same bytes.
deb:
	rm -rf $(DEB) && mkdir -p $(DEB)/$(RELEASE)
	git ls-files -z -co --exclude-standard | tar c --null -T - | tar x -C $(DEB)/$(RELEASE)
	cp -r port/debian $(DEB)/$(RELEASE)/debian
	cd $(DEB)/$(RELEASE) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u O dpkg-buildpackage -us -uc -b $(DEB_OPTIONS)

dist: $(O)/$(RELEASE).tar.gz
$(O)/$(RELEASE).tar.gz: FORCE
	@mkdir -p $(@D)
	git -c tar.umask=0022 archive --format=tar --prefix=$(RELEASE)/ HEAD >$(O)/$(RELEASE).tar
	gzip -9nf $(O)/$(RELEASE).tar

sbom:
	@mkdir -p $(O)
	$(Q)PKG_CONFIG='$(PKG_CONFIG)' sh port/debian/sbom.sh $(VERSION) $(CODEC_PKGS) >$(O)/libqcow2.spdx.json

abi: $(O)/libqcow2.so.$(SOVERSION)
ifdef UPDATE
	$(ABIDW) $< >$(ABI)
else
	$(Q)$(ABIDW) $< >$(O)/libqcow2.abi
	$(Q)abidiff --no-added-syms $(ABI) $(O)/libqcow2.abi
endif

.PHONY: deb dist sbom abi
