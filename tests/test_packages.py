"""A package that is not there is named with what to install."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.packages import package


def test_what_needs_a_package_that_is_not_installed_is_named():
    with pytest.raises(TedmError) as caught:
        package("nowhere_at_all.inner", "volumes", "scan.nii")
    assert str(caught.value) == "scan.nii needs a package that is not installed (nowhere_at_all): pip install 'tedm[volumes]'"


def test_a_package_that_is_there_is_imported():
    assert package("json.decoder", "volumes", "scan.nii").__name__ == "json.decoder"
