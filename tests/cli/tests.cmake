# The tests of the program run it on demo pictures, so building one builds both.
foreach(name test_usage test_progress test_examples test_results test_download test_see_command test_ask_commands test_find_command test_label
             test_textunits_command test_words_command)
  if(TARGET ${name})
    target_link_libraries(${name} PRIVATE m)
    add_dependencies(${name} program demo_pictures)
  endif()
endforeach()
# What the test of `see` knows of the default model.
include("${PROJECT_SOURCE_DIR}/models/facts.cmake")
list(GET CN_FACT_UNITS 0 unit)
list(GET CN_FACT_CONCEPTS 0 concept)
list(GET CN_FACT_PICTURES 0 picture)
foreach(name test_see_command test_find_command)
  target_compile_definitions(${name} PRIVATE CN_UNIT="${unit}" CN_CONCEPT="${concept}" CN_PICTURE="${picture}")
endforeach()
