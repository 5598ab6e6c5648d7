# Invented studies are those of tests/study.
if(TARGET test_multimodal)
  target_sources(test_multimodal PRIVATE "${PROJECT_SOURCE_DIR}/tests/study/fake.c" "${PROJECT_SOURCE_DIR}/tests/study/tempdir.c")
  target_include_directories(test_multimodal PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(test_multimodal PRIVATE m)
endif()
# Studies with invented activations.
target_sources(test_probe PRIVATE "${CMAKE_CURRENT_LIST_DIR}/../study/fake.c" "${CMAKE_CURRENT_LIST_DIR}/../study/tempdir.c")
