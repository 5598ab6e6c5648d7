# Studies with invented activations.
target_sources(test_probe PRIVATE "${CMAKE_CURRENT_LIST_DIR}/../study/fake.c" "${CMAKE_CURRENT_LIST_DIR}/../study/tempdir.c")
