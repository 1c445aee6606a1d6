# The package of find_package(Sage), in the build tree and in the install tree. Included by whoever is the top level: the
# whole project, or the runtime alone.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(SAGE_PACKAGE_TEMPLATE ${CMAKE_CURRENT_LIST_DIR}/SageConfig.cmake.in)
# Where both trees have it; cmake looks there below each CMAKE_PREFIX_PATH.
set(SAGE_PACKAGE_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Sage)
set(SAGE_BUILD_PACKAGE ${CMAKE_BINARY_DIR}/lib/cmake/Sage)

# sage_install_library(target Component): the library, its headers' target, and its entry in both packages.
function(sage_install_library target component)
  install(TARGETS ${target} EXPORT Sage${component}Targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component} NAMELINK_COMPONENT ${component})
endfunction()

# sage_install_package(Components...): after every library of theirs.
function(sage_install_package)
  foreach(component ${ARGN})
    install(EXPORT Sage${component}Targets NAMESPACE Sage:: DESTINATION ${SAGE_PACKAGE_DESTINATION} COMPONENT ${component})
    export(EXPORT Sage${component}Targets NAMESPACE Sage:: FILE ${SAGE_BUILD_PACKAGE}/Sage${component}Targets.cmake)
    install(FILES ${SAGE_BUILD_PACKAGE}/SageConfig.cmake ${SAGE_BUILD_PACKAGE}/SageConfigVersion.cmake
      DESTINATION ${SAGE_PACKAGE_DESTINATION} COMPONENT ${component})
  endforeach()
  set(SAGE_MLIR_VERSION 22.1)
  set(SAGE_MLIR_HINT ${MLIR_CMAKE_DIR})
  configure_package_config_file(${SAGE_PACKAGE_TEMPLATE} ${SAGE_BUILD_PACKAGE}/SageConfig.cmake
    INSTALL_DESTINATION ${SAGE_PACKAGE_DESTINATION} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
  # Until 1.0 every minor version may change interfaces.
  write_basic_package_version_file(${SAGE_BUILD_PACKAGE}/SageConfigVersion.cmake
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
endfunction()

# sage_install_tools(tools...): programs.
function(sage_install_tools)
  install(TARGETS ${ARGN} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT Tools)
endfunction()
