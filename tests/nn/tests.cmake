# The ops once more in double precision, for finite differences; they take the place of the room's own.
file(GLOB op_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/nn/op_*.c")
add_executable(test_op_gradients nn/double/op_gradients.c ${op_sources} "${PROJECT_SOURCE_DIR}/src/nn/ops.c")
target_compile_definitions(test_op_gradients PRIVATE NN_REFERENCE_DOUBLE CN_BUILDING=1)
target_link_libraries(test_op_gradients PRIVATE cn_nn PkgConfig::CMOCKA m)
set_target_properties(test_op_gradients PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
add_test(NAME test_op_gradients COMMAND test_op_gradients)
