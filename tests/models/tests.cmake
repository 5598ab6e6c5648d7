# The specimen is tested on the demo pictures, so building its test unpacks them. It computes for seconds beside other
# tests: without the spinning of idle threads (docs/conventions.md).
target_link_libraries(test_specimen PRIVATE m)
add_dependencies(test_specimen demo_pictures)
set_tests_properties(test_specimen PROPERTIES ENVIRONMENT "GOMP_SPINCOUNT=5000")
