# A unit of the default model that has something to climb to.
include("${PROJECT_SOURCE_DIR}/models/facts.cmake")
list(GET CN_FACT_UNITS 0 unit)
target_compile_definitions(test_see PRIVATE CN_UNIT="${unit}")
target_compile_definitions(test_textsee PRIVATE CN_UNIT="${unit}")
target_compile_definitions(test_facet PRIVATE CN_UNIT="${unit}")
add_dependencies(test_facet demo_pictures)
