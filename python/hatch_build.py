"""The wheel's tag: any Python 3, since nothing is compiled against it, and the glibc that the runtime needs."""
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformTag(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        # utils/build-wheel.sh compares this with the runtime's symbols.
        build_data["tag"] = "py3-none-manylinux_2_34_x86_64"
