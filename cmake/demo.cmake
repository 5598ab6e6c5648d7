# What the tests take from models/: facts about the default model, and the demo pictures, which the target
# demo_pictures unpacks as BUILD/demo-pictures.
include("${PROJECT_SOURCE_DIR}/models/facts.cmake")
set(CN_DEMO_PICTURES "${CMAKE_BINARY_DIR}/demo-pictures")
set(CN_DEMO_TABLE "${PROJECT_SOURCE_DIR}/models/demo-pictures.csv")
set(demo_script "${PROJECT_SOURCE_DIR}/tools/demo-pictures.sh")
add_custom_command(OUTPUT "${CN_DEMO_PICTURES}/labels.csv"
  COMMAND sh "${demo_script}" "${CMAKE_BINARY_DIR}"
  DEPENDS "${PROJECT_SOURCE_DIR}/models/demo-pictures.tar" "${CN_DEMO_TABLE}" "${demo_script}"
  COMMENT "Unpacking the demo pictures" VERBATIM)
add_custom_target(demo_pictures ALL DEPENDS "${CN_DEMO_PICTURES}/labels.csv")
