# Finds MLIR and declares Sage's libraries, tablegen targets and registrations.
#
# Everything links the shared `MLIR` and `LLVM` targets and nothing else of LLVM: the per-library archives (MLIRIR, ...)
# would put a second copy of MLIR's type identifiers into the process.

find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
set(SAGE_LLVM_TOOLS_DIR ${LLVM_TOOLS_BINARY_DIR})
set(SAGE_LLVM_LIBRARY_DIR ${LLVM_LIBRARY_DIR})

separate_arguments(SAGE_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")
# AddLLVM's tablegen() wants a target to make other tablegen runs wait for; Sage has one per folder instead.
set(MLIR_TABLEGEN_FLAGS "")

function(_sage_compile_options target)
  target_compile_definitions(${target} PRIVATE ${SAGE_LLVM_DEFINITIONS})
  # For builds only: who finds the package finds MLIR anew.
  target_include_directories(${target} SYSTEM PUBLIC "$<BUILD_INTERFACE:${LLVM_INCLUDE_DIRS};${MLIR_INCLUDE_DIRS}>")
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC warns falsely about std::optional in generated code.
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
  endif()
  if(NOT LLVM_ENABLE_RTTI)
    target_compile_options(${target} PRIVATE -fno-rtti)
  endif()
  if(SAGE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# sage_add_library(SageFoo a.cpp b.cpp [DEPENDS targets] [LINK_LIBS libraries])
# A static library. DEPENDS names the tablegen targets whose output its sources include.
function(sage_add_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK_LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  add_library(Sage::${name} ALIAS ${name})
  _sage_compile_options(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK_LIBS} MLIR LLVM)
  # Generated headers of every folder are ready before anything compiles: one include order for all, no missing edge.
  add_dependencies(${name} sage-headers ${ARG_DEPENDS})
  set_property(GLOBAL APPEND PROPERTY SAGE_LIBRARIES ${name})
endfunction()

# sage_set_install_rpath(target): a library finds its fellows beside itself, and the MLIR that it was built with.
function(sage_set_install_rpath target)
  set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN;${SAGE_LLVM_LIBRARY_DIR}")
endfunction()

# sage_add_executable(sage-foo a.cpp [LINK_LIBS libraries])
function(sage_add_executable name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  _sage_compile_options(${name})
  add_dependencies(${name} sage-headers)
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS} MLIR LLVM)
endfunction()

# sage_tablegen(SageFooIncGen File.td  Out.h.inc -gen-op-decls  Out.cpp.inc "-gen-dialect-defs -dialect=sage" ...)
# Runs mlir-tblgen once per pair of output and options; sources include the outputs by their path under include/.
function(sage_tablegen target input)
  set(LLVM_TARGET_DEFINITIONS ${input})
  set(TABLEGEN_OUTPUT)
  set(includes -I ${PROJECT_SOURCE_DIR}/include)
  foreach(directory ${MLIR_INCLUDE_DIRS})
    list(APPEND includes -I ${directory})
  endforeach()
  set(pairs ${ARGN})
  while(pairs)
    list(POP_FRONT pairs output options)
    separate_arguments(options UNIX_COMMAND "${options}")
    mlir_tablegen(${output} ${options} ${includes})
  endwhile()
  add_custom_target(${target} DEPENDS ${TABLEGEN_OUTPUT})
  add_dependencies(sage-headers ${target})
endfunction()

# sage_add_passes(SageFooPassesIncGen Foo): Passes.td -> Passes.h.inc with registerFooPasses().
function(sage_add_passes target name)
  sage_tablegen(${target} Passes.td Passes.h.inc "-gen-pass-decls -name ${name}")
endfunction()

# sage_add_docs(Input.td Name.md -gen-dialect-doc ...): one page of the generated reference, target sage-docs.
add_custom_target(sage-docs)
function(sage_add_docs input output)
  set(page ${PROJECT_BINARY_DIR}/docs/${output})
  set(includes -I ${PROJECT_SOURCE_DIR}/include)
  foreach(directory ${MLIR_INCLUDE_DIRS})
    list(APPEND includes -I ${directory})
  endforeach()
  add_custom_command(
    OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/docs
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} ${includes} ${CMAKE_CURRENT_SOURCE_DIR}/${input} -o ${page} -d ${page}.d
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${input} sage-headers
    DEPFILE ${page}.d
    COMMENT "Generating ${output}"
    VERBATIM)
  string(MAKE_C_IDENTIFIER sage-docs-${output} name)
  add_custom_target(${name} DEPENDS ${page})
  add_dependencies(sage-docs ${name})
endfunction()

# sage_register_dialects("header" "sage::registerFooDialects")  void(mlir::DialectRegistry &)
# sage_register_passes("header" "sage::registerFooPasses")      void()
# sage::registerAll* (InitAll.h) calls what the folders name here, so a folder registers itself in its own CMakeLists.
function(sage_register_dialects header function)
  set_property(GLOBAL APPEND_STRING PROPERTY SAGE_REGISTER_INCLUDES "#include \"${header}\"\n")
  set_property(GLOBAL APPEND_STRING PROPERTY SAGE_REGISTER_DIALECTS "  ${function}(registry);\n")
endfunction()
function(sage_register_passes header function)
  set_property(GLOBAL APPEND_STRING PROPERTY SAGE_REGISTER_INCLUDES "#include \"${header}\"\n")
  set_property(GLOBAL APPEND_STRING PROPERTY SAGE_REGISTER_PASSES "  ${function}();\n")
endfunction()

set(SAGE_EXCLUDE "" CACHE STRING "Folders of include/sage and lib to leave out, e.g. Conversion;Pipelines")

# sage_add_subdirectories(a b c): those that exist and are not left out.
macro(sage_add_subdirectories)
  foreach(_dir ${ARGN})
    if(NOT _dir IN_LIST SAGE_EXCLUDE AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${_dir}/CMakeLists.txt)
      add_subdirectory(${_dir})
    endif()
  endforeach()
endmacro()

# sage_add_unittest(SageFooTests a.cpp [LINK_LIBS libraries]): GoogleTest; skipped where GoogleTest is not installed.
function(sage_add_unittest name)
  if(NOT TARGET GTest::gtest_main)
    message(STATUS "${name}: skipped, GoogleTest was not found")
    return()
  endif()
  sage_add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_property(GLOBAL APPEND PROPERTY SAGE_UNITTESTS ${name})
endfunction()

add_custom_target(sage-headers)
