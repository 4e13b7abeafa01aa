"""The words of the shop: departments, product types, names of brands and series, sentences."""

from __future__ import annotations

from typing import NamedTuple


class ProductType(NamedTuple):
    """A product type: a leaf of the catalogue's tree.

    Parameters
    ----------
    department, category, name : str
        The way from the root to the leaf.
    use : str
        What it is for.
    styles : tuple of str
        Four words that tell items of the type apart, in the order of a ring.
    price : float
        What it typically costs.
    cycle : int
        Days after which a buyer needs it again, 0 if not.
    goes_with : str
        The product type that people look at next to it.
    """

    department: str
    category: str
    name: str
    use: str
    styles: tuple[str, ...]
    price: float
    cycle: int
    goes_with: str


#: Departments, indented below them their categories, and below these the product types:
#: name | use | styles | price | cycle | goes with.
_TREE = """
kitchen
 hot drinks
  kettle|boiling water for tea|glass steel copper enamel|35|0|black tea
  teapot|brewing and pouring tea|ceramic porcelain glass iron|28|0|green tea
  coffee maker|making coffee in the morning|automatic compact filter espresso|80|0|ground coffee
  coffee grinder|grinding coffee beans|manual electric ceramic conical|40|0|coffee beans
 cooking
  frying pan|frying eggs and pancakes|nonstick ceramic steel iron|32|0|olive oil
  saucepan|boiling pasta and sauces|lidded steel copper enamel|30|0|pasta
  baking tray|baking bread and biscuits|nonstick steel silicone glass|16|0|flour
  pressure cooker|cooking stews and beans quickly|electric steel induction family|75|0|rice
 appliances
  blender|mixing smoothies and soups|compact glass powerful portable|55|0|dried fruit
  toaster|toasting bread|retro steel compact wide|34|0|strawberry jam
  hand mixer|whisking cream and dough|cordless quiet powerful classic|30|0|baking tray
  rice cooker|steaming rice|compact digital family classic|45|0|rice
 tableware
  dinner plates|serving dinner|porcelain stoneware bamboo glass|36|0|cutlery set
  drinking glasses|drinking water and juice|crystal tinted stackable tall|22|0|dinner plates
  cutlery set|eating at the table|steel golden matt classic|38|0|dinner plates
  storage jars|keeping dry food fresh|glass airtight ceramic stackable|20|0|muesli
food
 tea and coffee
  black tea|a cup of tea at breakfast|strong malty smoky spiced|6|25|oat biscuits
  green tea|a light cup of tea|jasmine mint roasted floral|7|25|honey
  coffee beans|freshly ground coffee|dark nutty fruity mild|12|20|coffee grinder
  ground coffee|filter coffee|mild dark decaffeinated organic|9|20|coffee maker
 snacks
  dark chocolate|a sweet treat after dinner|bitter salted orange hazelnut|3|14|mixed nuts
  mixed nuts|a snack between meals|salted roasted plain smoked|6|18|dried fruit
  oat biscuits|a bite with tea|crunchy buttery ginger wholegrain|3|14|black tea
  dried fruit|a snack and for muesli|apricot fig mango cranberry|5|21|muesli
 pantry
  olive oil|salads and frying|mild fruity peppery organic|11|40|pasta
  pasta|a quick dinner|wholegrain egg spelt durum|3|21|olive oil
  rice|side dishes and curries|basmati jasmine brown sushi|5|35|rice cooker
  flour|baking bread and cakes|white wholegrain rye spelt|2|40|baking tray
 breakfast
  muesli|breakfast with milk|crunchy fruity nutty plain|5|18|dried fruit
  honey|sweetening tea and toast|acacia forest creamy clover|8|45|green tea
  strawberry jam|spreading on bread|smooth chunky organic light|4|30|peanut butter
  peanut butter|spreading on toast|smooth crunchy natural sweet|5|30|strawberry jam
pets
 cats
  cat food|feeding cats|chicken salmon beef grain-free|18|14|cat litter
  cat litter|a clean cat toilet|clumping mineral wooden silica|12|18|cat food
  scratching post|cats that scratch and climb|sisal tall wooden cardboard|45|0|cat toy
  cat toy|playing with cats|feather mouse ball tunnel|8|0|cat food
 dogs
  dog food|feeding dogs|beef lamb chicken grain-free|28|16|dog treats
  dog treats|rewarding and training dogs|chewy dental crunchy liver|7|14|dog food
  dog lead|walking dogs|leather nylon reflective long|15|0|dog treats
  dog bed|dogs that sleep indoors|fluffy orthopaedic washable woven|48|0|dog food
 fish
  aquarium|keeping fish at home|nano panoramic corner family|95|0|aquarium filter
  fish food|feeding fish|flake pellet frozen vegetable|6|40|aquarium filter
  aquarium filter|clean water for fish|quiet external sponge internal|30|0|fish food
  water plants|planting aquariums|mossy rooted floating tall|9|0|aquarium
 birds
  bird cage|keeping birds at home|wire wooden tall foldable|70|0|bird seed
  bird seed|feeding birds|sunflower millet mixed winter|8|25|bird feeder
  bird feeder|feeding birds in the garden|wooden hanging metal glass|18|0|bird seed
  nesting box|birds that nest in the garden|wooden woodcrete painted open|22|0|bird feeder
office
 printing
  printer|printing letters and photos|laser inkjet compact wireless|130|0|ink cartridge
  ink cartridge|refilling printers|black colour large refilled|25|60|copy paper
  copy paper|printing and copying|white recycled heavy premium|7|45|ink cartridge
  photo paper|printing photos|glossy matt satin pearl|12|90|ink cartridge
 writing
  fountain pen|writing letters by hand|steel lacquered piston classic|38|0|notebook
  notebook|writing notes and ideas|lined dotted plain hardback|9|60|gel pens
  gel pens|writing and marking|fine broad pastel black|6|60|notebook
  desk planner|planning the week|weekly monthly undated leather|14|0|gel pens
 furniture
  office chair|sitting long hours at a desk|ergonomic mesh leather swivel|160|0|standing desk
  standing desk|working while standing|electric wooden compact corner|290|0|monitor
  desk lamp|lighting a desk|dimmable clip folding classic|36|0|standing desk
  bookshelf|storing books and files|oak white narrow ladder|85|0|desk lamp
 computing
  laptop|working and browsing anywhere|light powerful convertible rugged|780|0|computer mouse
  keyboard|typing|mechanical wireless quiet compact|55|0|computer mouse
  computer mouse|pointing and scrolling|wireless vertical silent light|26|0|keyboard
  monitor|a large clear screen|curved wide sharp portable|210|0|keyboard
sport
 running
  running shoes|running on roads and trails|cushioned light trail stable|95|0|running socks
  running socks|dry feet while running|merino thin padded short|12|0|running shoes
  sports watch|measuring pace and heart rate|rugged light solar slim|170|0|running shoes
  running jacket|running in wind and rain|waterproof thermal reflective light|70|0|running socks
 cycling
  bicycle helmet|safe cycling|vented urban aero light|58|0|bicycle lights
  bicycle lights|cycling in the dark|rechargeable bright small dynamo|28|0|bicycle pump
  bicycle pump|pumping up tyres|mini floor digital carbon|24|0|inner tube
  inner tube|repairing flat tyres|butyl light thornproof latex|7|0|bicycle pump
 yoga
  yoga mat|yoga and stretching at home|cork thick natural foldable|36|0|yoga block
  yoga block|support in yoga poses|cork foam bamboo firm|13|0|yoga mat
  meditation cushion|sitting in meditation|round buckwheat crescent cotton|34|0|yoga mat
  resistance bands|strength training at home|latex fabric looped long|17|0|yoga mat
 outdoors
  tent|camping with family or friends|light tunnel family dome|180|0|sleeping bag
  sleeping bag|sleeping outdoors|down light winter synthetic|85|0|tent
  hiking boots|hiking in the mountains|leather waterproof light high|130|0|running socks
  camping stove|cooking outdoors|gas alcohol wood folding|42|0|tent
care
 skin
  face cream|dry and tired skin|rich light soothing scented|19|40|face wash
  sunscreen|protecting skin from the sun|mineral matt sporty gentle|14|50|lip balm
  face wash|cleaning the face|foaming gentle clay tonic|9|35|face cream
  lip balm|dry lips|honey tinted mint unscented|4|45|sunscreen
 hair
  shampoo|washing hair|mild repairing anti-dandruff solid|7|30|conditioner
  conditioner|smooth and soft hair|nourishing light silk curl|8|35|shampoo
  hair dryer|drying and styling hair|ionic quiet foldable strong|48|0|hairbrush
  hairbrush|untangling hair|wooden bristle round paddle|14|0|shampoo
 teeth
  electric toothbrush|brushing teeth thoroughly|sonic rotating slim travel|75|0|brush heads
  brush heads|renewing electric toothbrushes|soft whitening round angled|16|80|toothpaste
  toothpaste|fresh breath and clean teeth|mint herbal whitening sensitive|4|30|dental floss
  dental floss|cleaning between teeth|waxed minty expanding silk|4|40|toothpaste
 shaving
  razor|a smooth shave|safety five-blade flexible classic|18|0|razor blades
  razor blades|renewing razors|steel coated sharp sensitive|15|45|shaving foam
  shaving foam|softening the beard|cooling sensitive creamy cedar|5|40|razor blades
  beard trimmer|trimming beards|cordless precise waterproof compact|44|0|shaving foam
children
 babies
  nappies|dry and happy babies|soft night eco slim|22|12|baby wipes
  baby wipes|cleaning babies|water sensitive cotton scented|9|14|nappies
  baby bottle|feeding babies|glass anti-colic wide silicone|11|0|nappies
  pram|walking with babies|light foldable sturdy twin|340|0|nappies
 building
  building bricks|building houses and castles|classic space castle farm|38|0|marble run
  wooden train|playing railway|beech painted steam magnetic|42|0|building bricks
  marble run|building tracks for marbles|wooden transparent tall magnetic|36|0|building bricks
  model kit|building model ships and planes|plane ship car rocket|29|0|building bricks
 drawing
  colouring pencils|drawing and colouring|bright chunky water-soluble metallic|12|0|sketchbook
  watercolour paints|painting pictures|bright pastel compact earthy|17|0|sketchbook
  sketchbook|drawing and sketching|spiral smooth rough black|8|60|colouring pencils
  modelling clay|shaping figures|soft colourful air-dry natural|9|60|colouring pencils
 games
  board game|family evenings|strategic cooperative classic quick|33|0|card game
  jigsaw puzzle|quiet rainy afternoons|landscape animal art map|15|0|board game
  card game|playing on journeys|quick funny tactical memory|11|0|board game
  chess set|playing chess|wooden magnetic marble travel|39|0|board game
home
 plants
  potting soil|planting flowers and herbs|peat-free rich seedling herb|9|60|flower pot
  flower pot|house plants|terracotta glazed hanging woven|14|0|potting soil
  plant food|growing healthy plants|liquid organic slow rose|8|45|potting soil
  watering can|watering plants|zinc slim large copper|19|0|plant food
 tools
  cordless drill|drilling and screwing|compact powerful light hammer|110|0|drill bits
  drill bits|drilling wood, metal and stone|steel masonry wood titanium|18|0|cordless drill
  screwdriver set|assembling furniture|magnetic insulated precision ratchet|24|0|tool box
  tool box|keeping tools in order|steel stackable rolling wooden|38|0|screwdriver set
 cleaning
  washing powder|washing clothes|colour white sensitive fresh|11|28|dish soap
  dish soap|washing dishes|lemon mild aloe concentrated|3|25|washing powder
  vacuum cleaner|cleaning floors and carpets|cordless bagged robot handheld|190|0|dust bags
  dust bags|refilling vacuum cleaners|paper fleece large anti-allergic|13|60|dish soap
 sleeping
  bed linen|a well made bed|cotton linen satin flannel|52|0|pillow
  pillow|a restful night|down memory firm buckwheat|29|0|bed linen
  duvet|warm nights|down wool light winter|74|0|bed linen
  mattress|sleeping well|foam sprung latex firm|330|0|pillow
"""


def read_tree(text: str = _TREE) -> tuple[ProductType, ...]:
    """Read the tree of product types: 8 departments of 4 categories of 4 types."""
    types = []
    path = ["", ""]
    for line in text.strip().splitlines():
        depth = len(line) - len(line.lstrip())
        if depth < 2:
            path[depth] = line.strip()
            continue
        name, use, styles, price, cycle, goes_with = line.strip().split("|")
        words = tuple(styles.split())
        types.append(
            ProductType(path[0], path[1], name, use, words, float(price), int(cycle), goes_with)
        )
    return tuple(types)


#: Names of brands are a beginning and an end.
BRAND_BEGINNINGS = (
    "Al Bren Cor Dal El Fen Gal Hol Ister Jun Kel Lor Mar Nor Ost Pel Quin Ros Sol Tor"
)
BRAND_ENDS = "ava bek den ello fort gard ina mund nest ora ra stead tia vik wen"
#: Names of series, so that titles differ.
SERIES = (
    "Aria Aspen Atlas Bay Birch Breeze Cedar Comet Coral Crest Dawn Delta Dune Echo Ember "
    "Fable Fjord Grove Halo Haven Iris Ivy Juno Lark Lumen Maple Meadow Mesa Nova Onyx "
    "Opal Orbit Pearl Pine Quill Reef Ridge River Robin Sage Sierra Sky Spark Summit Tide "
    "Trail Vale Vega Willow Zephyr"
)
#: What a description says of the make, from poor to excellent.
MAKES = (
    "Simple and plain.",
    "Decent for everyday use.",
    "Well made.",
    "Carefully made and built to last.",
    "Outstanding workmanship.",
)
#: What a description says of a brand, from cheap to dear.
TIERS = ("a budget label", "a household name", "a premium house")
