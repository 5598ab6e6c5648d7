# What the examples' tests know of the default model. The recipe writes this file again with the model.
set(CN_FACT_CONCEPTS butterfly umbrella calendar) # labels of demo pictures, each with a unit of its own
set(CN_FACT_UNITS 38 66 319)                      # these units of layer4, in the same order
# A demo picture on which the first concept gets more than half, the same concept as a word, and another one.
set(CN_FACT_PICTURES butterfly-colour-0.png butterfly-word-0.png bomb-line-0.png)
