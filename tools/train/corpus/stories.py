"""Our own little stories from a grammar: a hero, a wish, a trouble, a friend, a good end."""

from grammar import article, capital, expand

ANIMALS = "fox rabbit bear mouse owl frog turtle cat dog duck squirrel hedgehog lion elephant monkey pig sheep horse cow goat bird fish bee butterfly ant spider snail crab whale dolphin penguin wolf deer kitten puppy panda tiger giraffe zebra parrot donkey hen beaver otter seal camel bat swan goose mole badger snake lizard ladybug cricket kangaroo koala crow raven eagle robin".split()
FANTASY = "dragon robot unicorn giant witch wizard fairy snowman ghost monster mermaid pirate knight princess prince king queen astronaut".split()
PEOPLE = "girl boy farmer baker teacher sailor painter doctor gardener fisherman shepherd clown musician cook tailor shoemaker librarian miller grandmother grandfather child".split()
OBJECTS = "star cloud tree boat train car kite balloon teapot lamp clock bell book pencil flower apple pumpkin snowflake river moon sun leaf stone seed candle umbrella bicycle drum hat sock spoon key door house bridge lighthouse computer toaster shoe ball doll rocket teddy bear cup chair".replace("teddy bear", "teddy").split()
# More heroes, each seen less often, so that the asked-for word is copied rather than guessed.
MORE = "mountain lake river valley desert beach garden bakery kitchen window mirror candlestick bottle basket blanket pillow ladder hammer needle button ribbon mitten jacket coat boot belt crown ring necklace diamond pearl coin treasure map compass anchor sail wagon sled tractor truck bus taxi airplane helicopter parachute trumpet flute guitar piano whistle puzzle marble puppet crayon brush picture letter stamp package mailbox school library museum market circus zoo playground fountain windmill barn fence tunnel tower palace cottage tent cave waterfall storm thunder rainbow snowball icicle puddle shadow echo dream song story riddle secret wish number word poem pancake sandwich noodle cheese honey cherry peach melon coconut walnut acorn mushroom daisy tulip rose sunflower clover vine moss pebble sand clay brick wheel engine rocketship satellite planet comet galaxy alien mechanic plumber dentist nurse pilot captain soldier dancer singer writer reporter juggler magician ninja cowboy viking emperor jester butler neighbor twin uncle aunt cousin baby toddler student professor scientist inventor detective".split()
NAMES_HE = "Tom Ben Max Leo Sam Tim Finn Oscar Hugo Jack Pip Milo Otto Felix Toby Ned Bruno Rusty".split()
NAMES_SHE = "Lily Mia Anna Ruby Daisy Emma Lucy Nora Rosie Ella Molly Tilda Ivy Poppy Grace Bella Luna Wendy".split()
PLACES = (
    "in a quiet forest", "by a blue lake", "on a green hill", "near a small village", "in a sunny garden",
    "by the sea", "in a cosy little house", "at the edge of a big wood", "on a farm", "in a busy town",
    "beside a clear stream", "under an old oak tree", "in a valley full of flowers", "on a small island",
    "at the top of a snowy mountain", "at the end of a long road",
)
TRAITS = ("brave", "kind", "curious", "shy", "cheerful", "clever", "gentle", "funny", "lonely", "sleepy", "hungry", "quiet", "proud", "friendly", "careful", "playful")
TREASURES = ("a golden key", "a red ball", "a shiny stone", "a warm scarf", "a little bell", "a silver spoon", "a blue feather", "a magic seed", "a lost letter", "a small lantern", "a wooden boat", "a basket of berries", "a music box", "an old map", "a yellow hat")
FOODS = ("apple pie", "honey cakes", "warm soup", "fresh bread", "berry jam", "pancakes", "cookies", "carrot cake", "hot cocoa", "plum cake")
WEATHERS = ("a bright spring morning", "a warm summer day", "a windy autumn day", "a cold winter morning", "a rainy afternoon", "a clear night", "a sunny morning", "a foggy morning")

OPENINGS = (
    "[Once upon a time|Long ago|Once], there was {a_trait} {hero} named {name}. {name} lived {place}.",
    "[Once upon a time|Long ago], {place_start} there lived {a_trait} {hero}. {His} name was {name}.",
    "There once was {a_hero} called {name}, who lived {place}. {name} was very {trait}.",
    "{name} was {a_trait} {hero}. {He} lived {place} [and was happy there|with many friends around|and loved the fresh air].",
)

# One plot a row: sentences in order; each may be left out never, but chosen among its variants.
PLOTS = (
    (  # lost and found
        "One day, on {weather}, {name} lost {treasure}. {He} looked [under the bed|behind the door|under the bushes] and [in every corner|all along the path], but {he} could not find it.",
        "[{name} felt very sad.|A tear rolled down {his} cheek.|\"Oh no,\" said {name}. \"What shall I do?\"]",
        "Then {friend_a} came by. \"Why are you so sad?\" asked {friend}. \"I have lost {treasure},\" said {name}.",
        "\"[Do not worry|Dry your tears|Cheer up],\" said {friend}. \"[I will help you look|Let us look together|Two can look better than one].\"",
        "They searched [until the sun went down|high and low|everywhere], and at last they saw something [shining|lying|peeking out] [under a leaf|between two stones|in the tall grass]. It was {treasure}!",
        "{name} [jumped for joy|laughed out loud|was so happy] and thanked {friend}. [They shared {food} and talked until bedtime.|From that day on they were the best of friends.|Then they walked home together under the stars.]",
    ),
    (  # afraid of something
        "But {name} had a secret: {he} was afraid of [the dark|thunder|deep water|high places|loud noises].",
        "On {weather}, {friend_a} asked, \"[Will you come and play with me|Shall we go on an adventure|Do you want to see something wonderful]?\" {name} [wanted to go, but {his} legs were shaking|looked at the ground and said nothing].",
        "\"[It is all right to be afraid|Everybody is afraid of something],\" said {friend}. \"[Take my hand|Stay close to me|I will be right beside you].\"",
        "So they went, one small step after another. [First|At first] {name} [closed {his} eyes|held on tight]. Then {he} [opened them again|took a deep breath] and looked around.",
        "It was [beautiful|wonderful|not so bad after all]! [The stars were shining like tiny lamps.|The whole world looked new.|Far below, the fields were green and gold.]",
        "\"I did it!\" [cried|shouted|said] {name}. {Friend_cap} smiled. \"You are braver than you think.\" [And {name} was never so afraid again.|That night {name} slept very well.]",
    ),
    (  # a wish
        "More than anything, {name} wished to [fly over the hills|see the sea|sing a song that everyone would love|find a true friend|touch the moon|bake the best {food} in the land].",
        "On {weather}, {he} packed {treasure} and set off. {He} walked [all day|over hills and through fields|along a long winding path].",
        "On the way {he} met {friend_a} who was [stuck in the mud|very hungry|crying|lost]. {name} stopped at once. \"[Let me help you|Can I help you|I will help you],\" {he} said.",
        "{Friend_cap} was so [thankful|glad] that {friend} told {name} a secret. \"[If you want something very much, begin with one small step|A wish comes true when you share it|You already have what you need: a good heart].\"",
        "{name} thought about this [for a long time|all the way]. Then {he} tried, and tried again, and [did not give up|worked hard every day].",
        "And [one day|at last|in the end] the wish came true. {name} was [so happy that {he} danced|the happiest {hero} in the world]. [{He} invited everyone to eat {food}.|And {he} never forgot {friend}.]",
    ),
    (  # sharing
        "On {weather}, {name} made {food}. It smelled so good that everyone [nearby|in the neighbourhood] noticed.",
        "First came {friend_a}. \"May I have some?\" asked {friend}. \"No,\" said {name}, \"it is all mine.\" {Friend_cap} went away sadly.",
        "{name} sat down to eat, but [it did not taste good|something was wrong]. [It is no fun to eat alone|The table felt very big and very empty], thought {name}.",
        "So {he} ran outside and called, \"[Please come back|I am sorry|Wait for me]! There is enough for [both of us|everyone].\"",
        "They sat together and ate [every crumb|and laughed and told stories]. Now it was the best {food} in the whole world.",
        "[\"Sharing makes everything better,\" said {name}.|From then on {name} always shared.|And {name} learned that things taste better when we share them.]",
    ),
    (  # a storm, helping
        "On {weather}, a big storm came. The wind [blew and blew|howled], and the rain [fell hard|would not stop].",
        "{name} was safe at home when {he} heard a small voice outside. \"[Help|Please help me]!\" it said. It was {friend_a}, [cold and wet|caught in the storm].",
        "{name} did not [wait|think twice]. {He} [opened the door|ran out into the rain] and brought {friend} inside.",
        "{He} gave {friend} [a warm blanket|a seat by the fire] and some {food}. \"You saved me,\" said {friend}.",
        "[By morning|When the sun came out], the storm was gone and [a rainbow stood in the sky|the birds were singing].",
        "[{Friend_cap} gave {name} {treasure} to say thank you.|\"I will always be your friend,\" said {friend}.] [And they lived happily ever after.|The end.|That is how they became friends.]",
    ),
    (  # learning
        "{name} wanted to learn [to swim|to dance|to read|to play the drum|to climb|to paint], but it was [very hard|not easy].",
        "The first time {he} tried, {he} [fell down|made a funny mistake|got it all wrong]. Everyone laughed, and {name} [felt silly|turned red].",
        "{Friend_a_cap} saw it and said, \"[When I was small, I could not do it either|Nobody can do it the first time|Try again, a little every day].\"",
        "So {name} practised [every morning|every day|again and again]. On {weather}, {he} tried once more.",
        "This time [it worked|{he} did it]! [Everyone clapped their hands.|{His} friends cheered.|\"Hooray!\" shouted {friend}.]",
        "{name} [smiled from ear to ear|was very proud]. \"[Thank you for believing in me|I am glad I did not give up],\" {he} said. [They celebrated with {food}.|And that night {he} dreamed happy dreams.]",
    ),
    (  # finding a new friend
        "{name} had [a nice home|many toys], but no one to [play|talk] with. \"I wish I had a friend,\" {he} [sighed|said] every evening.",
        "On {weather}, {he} found {treasure} [on the path|near the old tree|by the water]. \"Somebody must be missing this,\" {he} thought.",
        "{He} asked [everyone {he} met|up and down the road], but nobody knew. At last {he} met {friend_a} who was looking [for something|very worried].",
        "\"Is this yours?\" asked {name}. \"Yes!\" said {friend}. \"I have been looking for it all day. How can I thank you?\"",
        "\"[Would you play with me|Would you be my friend]?\" asked {name} [softly|with a small voice]. {Friend_cap} smiled. \"[Of course|I would love to]!\"",
        "They played [hide and seek|until the stars came out|all afternoon] and ate {food}. [{name} was never lonely again.|And so {name} got the best thing of all: a friend.]",
    ),
    (  # a trick and a lesson
        "{name} liked to play tricks. On {weather}, {he} hid {treasure} that belonged to {friend_a}.",
        "{Friend_cap} looked and looked, and became [very sad|more and more worried]. {name} [giggled behind a tree|thought it was funny].",
        "But when {he} saw {friend} cry, {name} did not feel like laughing any more. {His} heart felt heavy.",
        "\"I am sorry,\" said {name}. \"I took it. Here it is.\" {He} gave it back at once.",
        "{Friend_cap} was quiet for a moment. Then {friend} said, \"[Thank you for telling the truth|It was not nice, but it was brave to tell me].\"",
        "[They made {food} together and became friends again.|{name} promised never to do it again, and {he} kept the promise.] [It is better to make a friend laugh than to laugh at a friend.|The end.]",
    ),
)

ENDINGS = ("", "", "", " The end.", " And they lived happily ever after.", " Good night!")

ASK = (
    "Tell me a story about {x}.", "Tell me a story about {x}.", "Tell me a story about {x}.",
    "Tell me a short story about {x}.", "Can you tell me a story about {x}?", "Write a short story about {x}.",
    "Write a story about {x}.", "I [want|would like] a story about {x}.", "Please tell me a story about {x}.",
    "Make up a story about {x}.", "Do you know a story about {x}?", "Could you write a little story about {x}?",
    "A story about {x}, please.", "Tell me a [bedtime|little|nice|happy] story about {x}.", "[Hi|Hello]! Tell me a story about {x}.",
)
ASK_ANY = (
    "Tell me a story.", "Tell me a story.", "Can you tell me a story?", "Tell me a short story.", "Write a short story.",
    "I want to hear a story.", "Tell me a bedtime story.", "Do you know any stories?", "Please tell me a story.", "Tell me another story.",
    "Once more, please: a story!", "Make up a story.",
)
WITH_NAME = (
    "Tell me a story about {x} named {name}.", "Write a story about {x} called {name}.", "Tell me a story about {name} the {hero}.",
    "Can you tell me a story about {x} named {name}?",
)


def story(rng, hero, name=None):
    he = rng.random() < 0.5
    if hero in ("girl", "princess", "queen", "witch", "fairy", "mermaid", "grandmother", "hen"):
        he = False
    if hero in ("boy", "prince", "king", "wizard", "grandfather", "pirate", "knight", "fisherman"):
        he = True
    name = name or rng.choice(NAMES_HE if he else NAMES_SHE)
    if name in NAMES_HE:
        he = True
    if name in NAMES_SHE:
        he = False
    other = rng.choice([a for a in ANIMALS + PEOPLE[:8] if a != hero])
    trait = rng.choice(TRAITS)
    friend_trait = rng.choice([t for t in ("old", "little", "wise", "big", "small", "young", "friendly") ])
    f = {
        "hero": hero, "name": name, "trait": trait, "a_hero": article(hero), "a_trait": article(rng.choice((trait, "little", "small", trait))),
        "he": "he" if he else "she", "He": "He" if he else "She", "his": "his" if he else "her", "His": "His" if he else "Her",
        "place": rng.choice(PLACES), "friend": "the " + other, "Friend_cap": "The " + other,
        "friend_a": article(friend_trait + " " + other), "Friend_a_cap": capital(article(friend_trait + " " + other)),
        "treasure": rng.choice(TREASURES), "food": rng.choice(FOODS), "weather": rng.choice(WEATHERS),
    }
    f["place_start"] = f["place"]
    f["treasure"] = f["treasure"]
    body = [expand(rng, rng.choice(OPENINGS), f)]
    body += [expand(rng, line, f) for line in rng.choice(PLOTS)]
    end = rng.choice(ENDINGS) if not body[-1].endswith("The end.") and "ever after" not in body[-1] else ""
    cut = rng.randrange(2, 5)
    if rng.random() < 0.5:
        return " ".join(body) + end
    return " ".join(body[:cut]) + "\n\n" + " ".join(body[cut:]) + end


def a_hero(rng, more=()):
    return rng.choice(rng.choice((ANIMALS, ANIMALS, FANTASY, PEOPLE, OBJECTS, OBJECTS, list(more) or ANIMALS)))


def ask(rng, more=()):
    """A request and a story that has in it what was asked for."""
    dice = rng.random()
    hero = a_hero(rng, more)
    if rng.random() < 0.4:
        hero = rng.choice(rng.choice((MORE, MORE, list(more) or MORE)))
    if dice < 0.13:
        return rng.choice(ASK_ANY), story(rng, hero)
    if dice < 0.25:
        name = rng.choice(NAMES_HE + NAMES_SHE)
        q = expand(rng, rng.choice(WITH_NAME), {"x": article(hero), "name": name, "hero": hero})
        return q, story(rng, hero, name)
    trait = rng.choice(TRAITS) + " " if rng.random() < 0.12 else ""
    return expand(rng, rng.choice(ASK), {"x": article(trait + hero)}), story(rng, hero)
