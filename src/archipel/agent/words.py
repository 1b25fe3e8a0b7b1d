# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that machines' names are made of: short, ASCII, harmless in every combination."""

from __future__ import annotations

from typing import Final

_ADJECTIVES = """
able agile airy alert amber ample arctic azure balmy bold brave breezy bright brisk broad bronze calm candid cheery
civil clear clever coastal cobalt cool copper coral cosy crimson crisp curious daring deep deft distant early easy
elegant emerald fair famous fast festive fine firm fluent fond fresh frosty gentle giant gifted glad gleaming golden
graceful grand green handy happy hardy hazel honest humble icy indigo ivory jade jolly jovial keen kind lively lofty
loyal lucid lucky lunar lush magic mellow merry mighty mild mint misty modern modest neat nimble noble northern olive
open opal orange patient peaceful pearly pleasant plucky polar polite prime proud quick quiet rapid ready regal robust
rosy royal ruby rustic sage sandy scarlet serene sharp shiny silent silver sincere sleek smart smooth snowy soft solar
solid southern spry stable starry steady stellar stoic stormy sturdy sunny superb swift tall teal tender tidy tiny
topaz trusty upbeat valiant velvet verdant vivid warm western wide windy wise witty zesty
"""

_NOUNS = """
acorn alder almond anchor antler apple arbor ash aspen atoll aurora badger bamboo bay beacon beaver beech birch bison
brook buoy cactus canyon cape cedar channel cherry cliff clover comet condor coral cove crane creek crocus current
cypress dahlia daisy delta dolphin dune eagle egret elk elm ember falcon fennel fern finch fjord fox gale gannet garnet
geyser ginger glacier glade gull harbor hare haven hawk hazel heath heron hill holly ibis iris island ivy jasmine jetty
juniper kelp kestrel koala lagoon lake lantern larch lark laurel ledge lemon lichen lilac lily linden linnet lotus lynx
magpie mango maple marlin marsh marten meadow mesa mimosa moon moss mountain narwhal nectar oak oasis ocean olive orca
orchid osprey otter owl palm panda pebble pelican peony petrel pier pine plover plum pond poppy prairie puffin quail
quartz raven reef ridge river robin rowan sail salmon seal sequoia shell shore sparrow spring spruce squirrel star
stork stream summit swallow swan sycamore tern thistle thyme tide toucan trout tulip tundra turtle valley violet walnut
walrus wave whale willow wren yarrow zephyr
"""

ADJECTIVES: Final = tuple(_ADJECTIVES.split())
NOUNS: Final = tuple(_NOUNS.split())
