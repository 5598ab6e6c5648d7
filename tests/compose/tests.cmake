# Invented studies are those of tests/study.
if(TARGET test_multimodal)
  target_sources(test_multimodal PRIVATE "${PROJECT_SOURCE_DIR}/tests/study/fake.c" "${PROJECT_SOURCE_DIR}/tests/study/tempdir.c")
  target_include_directories(test_multimodal PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(test_multimodal PRIVATE m)
endif()
# Studies with invented activations.
foreach(name test_probe test_wordspace)
  target_sources(${name} PRIVATE "${CMAKE_CURRENT_LIST_DIR}/../study/fake.c" "${CMAKE_CURRENT_LIST_DIR}/../study/tempdir.c")
endforeach()

target_sources(test_attack PRIVATE "${CMAKE_CURRENT_LIST_DIR}/../study/tempdir.c")

# Attacks run the default model for seconds beside other tests: without the spinning of idle threads (docs/conventions.md).
foreach(name test_lettering test_spelling test_attack)
  if(TARGET ${name})
    target_link_libraries(${name} PRIVATE m)
  endif()
endforeach()
set_tests_properties(test_attack PROPERTIES ENVIRONMENT "GOMP_SPINCOUNT=5000")

target_link_libraries(test_textunits PRIVATE m)
target_link_libraries(test_wordspace PRIVATE m)
