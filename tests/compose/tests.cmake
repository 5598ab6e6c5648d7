# Attacks run the default model for seconds beside other tests: without the spinning of idle threads (docs/conventions.md).
foreach(name test_lettering test_spelling test_attack)
  if(TARGET ${name})
    target_link_libraries(${name} PRIVATE m)
  endif()
endforeach()
set_tests_properties(test_attack PROPERTIES ENVIRONMENT "GOMP_SPINCOUNT=5000")
