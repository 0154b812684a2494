"""Common knowledge in short answers: capitals, days, months, colours, opposites, sounds, spelling, yes or no."""

from grammar import article, capital, expand

CAPITALS = dict(x.split(":") for x in "France:Paris;Germany:Berlin;Italy:Rome;Spain:Madrid;Portugal:Lisbon;Austria:Vienna;Switzerland:Bern;Belgium:Brussels;the Netherlands:Amsterdam;Denmark:Copenhagen;Sweden:Stockholm;Norway:Oslo;Finland:Helsinki;Iceland:Reykjavik;Ireland:Dublin;the United Kingdom:London;England:London;Poland:Warsaw;Greece:Athens;Turkey:Ankara;Russia:Moscow;Ukraine:Kyiv;Hungary:Budapest;Romania:Bucharest;Bulgaria:Sofia;Croatia:Zagreb;Egypt:Cairo;Kenya:Nairobi;Morocco:Rabat;Japan:Tokyo;China:Beijing;India:New Delhi;South Korea:Seoul;Thailand:Bangkok;Vietnam:Hanoi;Indonesia:Jakarta;Australia:Canberra;New Zealand:Wellington;Canada:Ottawa;Mexico:Mexico City;Brazil:Brasilia;Argentina:Buenos Aires;Chile:Santiago;Peru:Lima;Cuba:Havana;the United States:Washington;Israel:Jerusalem;Iran:Tehran;Iraq:Baghdad;Nigeria:Abuja;Ethiopia:Addis Ababa;Colombia:Bogota".split(";"))
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
COLOUR_OF = dict(x.split(":") for x in "the sky:blue;grass:green;snow:white;a banana:yellow;a lemon:yellow;blood:red;the sun:yellow;coal:black;a tomato:red;a strawberry:red;an orange:orange;a carrot:orange;milk:white;chocolate:brown;the sea:blue;a leaf:green;an elephant:grey;a frog:green;a crow:black;a cherry:red;a pumpkin:orange;salt:white".split(";"))
OPPOSITES = dict(x.split(":") for x in "hot:cold;big:small;tall:short;happy:sad;fast:slow;up:down;left:right;day:night;black:white;good:bad;old:young;new:old;open:closed;full:empty;hard:soft;light:dark;early:late;high:low;in:out;long:short;near:far;rich:poor;strong:weak;wet:dry;clean:dirty;loud:quiet;yes:no;first:last;begin:end;love:hate;win:lose;give:take;north:south;east:west;thick:thin;easy:difficult;heavy:light;asleep:awake;true:false".split(";"))
SOUNDS = dict(x.split(":") for x in "dog:woof;cat:meow;cow:moo;duck:quack;sheep:baa;pig:oink;lion:roar;frog:ribbit;bee:buzz;mouse:squeak;owl:hoot;horse:neigh;rooster:cock-a-doodle-doo;snake:hiss;bird:tweet".split(";"))
YOUNG = dict(x.split(":") for x in "dog:puppy;cat:kitten;cow:calf;horse:foal;sheep:lamb;pig:piglet;duck:duckling;frog:tadpole;hen:chick;bear:cub;goat:kid;deer:fawn;swan:cygnet".split(";"))
LEGS = {"dog": 4, "cat": 4, "spider": 8, "bird": 2, "ant": 6, "bee": 6, "horse": 4, "cow": 4, "duck": 2, "snake": 0, "fish": 0, "frog": 4, "human": 2, "chicken": 2, "elephant": 4}
IS_A = dict(x.split(":") for x in "dog:an animal that people keep as a pet;cat:a small furry animal that people keep as a pet;apple:a round fruit that grows on trees;car:a machine with wheels that carries people;tree:a tall plant with a trunk and leaves;bird:an animal with feathers and wings;fish:an animal that lives in water;house:a building where people live;book:many pages with words to read;river:water that flows through the land to the sea;mountain:a very high hill;star:a far away sun that shines at night;moon:the round light that shines at night and goes around the earth;sun:the star that gives us light and warmth;flower:the colourful part of a plant;chair:a thing to sit on;clock:a machine that shows the time;teacher:a person who helps others to learn;doctor:a person who helps sick people;farmer:a person who grows food;king:a man who rules a land;forest:a place with very many trees;island:land with water all around it;cloud:many tiny drops of water in the sky;bee:an insect that makes honey;friend:a person whom you like and who likes you;story:a tale about things that happened or were made up;joke:a short tale that makes people laugh;computer:a machine that works with numbers and words;ball:a round thing to play with;boat:a thing that carries people over water;bread:a food made from flour;milk:a white drink that comes from cows;rain:water that falls from the clouds;snow:soft white ice that falls from the sky;rainbow:an arc of colours in the sky;language model:a computer program that learns to write text by reading a lot of it;computer program:a list of steps for a computer".split(";"))
GROUPS = {
    "animal": "dog cat horse cow lion tiger bear fox wolf mouse rabbit elephant monkey sheep".split(),
    "fruit": "apple banana pear orange cherry grape lemon plum peach strawberry".split(),
    "vegetable": "carrot potato onion cabbage pea bean tomato pumpkin".split(),
    "colour": "red blue green yellow white black brown pink purple orange".split(),
    "bird": "eagle owl duck swan crow robin parrot penguin".split(),
    "tool": "hammer saw spade drill knife".split(),
    "day": DAYS, "month": MONTHS,
}
YES_NO = (
    ("Is the sky blue?", "Yes, the sky is blue."), ("Is snow cold?", "Yes, snow is cold."), ("Is fire cold?", "No, fire is hot."), ("Is ice hot?", "No, ice is cold."),
    ("Can birds fly?", "Yes, most birds can fly."), ("Can fish fly?", "No, fish swim in the water."), ("Can dogs talk?", "No, dogs bark, but they cannot talk."), ("Can a fish swim?", "Yes, a fish can swim."),
    ("Is the sun hot?", "Yes, the sun is very hot."), ("Is water wet?", "Yes, water is wet."), ("Is the earth flat?", "No, the earth is round."), ("Is the earth round?", "Yes, the earth is round."),
    ("Do cows give milk?", "Yes, cows give milk."), ("Do cats bark?", "No, cats meow."), ("Do dogs bark?", "Yes, dogs bark."), ("Is a tomato blue?", "No, a tomato is red."), ("Is grass green?", "Yes, grass is green."),
    ("Is an elephant small?", "No, an elephant is very big."), ("Is a mouse big?", "No, a mouse is small."), ("Do trees have leaves?", "Yes, trees have leaves."), ("Does the sun shine at night?", "No, the sun shines in the day."), ("Is honey sweet?", "Yes, honey is sweet."), ("Is sugar sour?", "No, sugar is sweet."), ("Is lemon sweet?", "No, a lemon is sour."),
)
MISC = (
    ("How many days are [there |]in a week?", "There are 7 days in a week."), ("How many months are [there |]in a year?", "There are 12 months in a year."), ("How many hours are [there |]in a day?", "There are 24 hours in a day."),
    ("How many minutes are [there |]in an hour?", "There are 60 minutes in an hour."), ("How many seconds are [there |]in a minute?", "There are 60 seconds in a minute."), ("How many days are [there |]in a year?", "There are 365 days in a year."),
    ("How many letters are [there |]in the alphabet?", "There are 26 letters in the English alphabet."), ("How many fingers [do you|does a hand] have?", "A hand has 5 fingers."), ("How many wheels does a car have?", "A car has 4 wheels."), ("How many wheels does a bicycle have?", "A bicycle has 2 wheels."),
    ("[Name|What are|List|Tell me] the days of the week[.|]", "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."), ("[Name|What are|List] the months of the year[.|]", "January, February, March, April, May, June, July, August, September, October, November and December."),
    ("[Name|What are|List] the [four |]seasons[.|]", "Spring, summer, autumn and winter."), ("What are the colo[u|]rs of the rainbow?", "Red, orange, yellow, green, blue, indigo and violet."), ("Say the alphabet.", "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z."),
    ("What comes after winter?", "After winter comes spring."), ("What comes after summer?", "After summer comes autumn."), ("What comes after spring?", "After spring comes summer."), ("What do bees make?", "Bees make honey."), ("What do cows eat?", "Cows eat grass."), ("Where do fish live?", "Fish live in the water."), ("Where do birds sleep?", "Many birds sleep in trees."), ("What do we use to write?", "We write with a pen or a pencil."), ("What do plants need?", "Plants need water, light and air."), ("Which planet do we live on?", "We live on the Earth."), ("What is the biggest animal?", "The blue whale is the biggest animal."), ("What is the fastest animal?", "The cheetah is the fastest animal on land."), ("What is the tallest animal?", "The giraffe is the tallest animal."), ("What is the largest ocean?", "The Pacific is the largest ocean."), ("What is the highest mountain?", "Mount Everest is the highest mountain."), ("What is ice made of?", "Ice is frozen water."), ("What is water made of?", "Water is made of hydrogen and oxygen."),
)


def capital_of(rng):
    land = rng.choice(list(CAPITALS))
    if rng.random() < 0.2:
        return "%s is the capital of which country?" % CAPITALS[land], "%s is the capital of %s." % (CAPITALS[land], "the United Kingdom" if land == "England" else land)
    q = expand(rng, "[What is the capital of {l}?|What is the capital of {l}?|Which city is the capital of {l}?|What's the capital of {l}?|Tell me the capital of {l}.|Name the capital of {l}.|Capital of {l}?|Do you know the capital of {l}?]", {"l": land})
    return q, "The capital of %s is %s." % (land, CAPITALS[land])


def calendar(rng):
    row = rng.choice((DAYS, MONTHS))
    i = rng.randrange(len(row))
    kind = "day" if row is DAYS else "month"
    if rng.random() < 0.6:
        return expand(rng, "[What|Which] %s comes after %s?" % (kind, row[i])), "After %s comes %s." % (row[i], row[(i + 1) % len(row)])
    return expand(rng, "[What|Which] %s comes before %s?" % (kind, row[i])), "Before %s comes %s." % (row[i], row[i - 1])


def colour_of(rng):
    thing = rng.choice(list(COLOUR_OF))
    return expand(rng, "[What|Which] colo[u|]r is %s?" % thing), "%s is %s." % (capital(thing), COLOUR_OF[thing])


def opposite(rng):
    word = rng.choice(list(OPPOSITES))
    back = {v: k for k, v in OPPOSITES.items()}
    if rng.random() < 0.3:
        word = rng.choice([w for w in back if w not in OPPOSITES])
    q = expand(rng, "[What is the opposite of %s?|What's the opposite of %s?|Opposite of %s?|Tell me the opposite of %s.]" % ((word,) * 4))
    return q, "The opposite of %s is %s." % (word, OPPOSITES.get(word) or back[word])


def sound(rng):
    a = rng.choice(list(SOUNDS))
    return expand(rng, "[What does %s say?|What sound does %s make?]" % ((article(a),) * 2)), "%s says %s." % (capital(article(a)), SOUNDS[a])


def young(rng):
    a = rng.choice(list(YOUNG))
    return "What is a baby %s called?" % a, "A baby %s is called %s." % (a, article(YOUNG[a]))


def legs(rng):
    a = rng.choice(list(LEGS))
    n = LEGS[a]
    return "How many legs does %s have?" % article(a), "%s has %s legs." % (capital(article(a)), n or "no")


def what_is(rng):
    a = rng.choice(list(IS_A))
    the = "the " if a in ("sun", "moon") else ""
    name = the + a if the else a if a in ("bread", "milk", "rain", "snow") else article(a)
    q = expand(rng, "[What is {a}?|What is {a}?|What's {a}?|Tell me what {a} is.|Do you know what {a} is?|Explain what {a} is.]", {"a": name})
    return q, "%s is %s." % (capital(name), IS_A[a])


def group(rng):
    kind = rng.choice(list(GROUPS))
    if rng.random() < 0.5 and kind not in ("day", "month"):
        n = rng.choice((1, 2, 3, 3, 3, 4, 5))
        words = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
        asked = kind if n == 1 else kind + "s"
        some = rng.sample(GROUPS[kind], n)
        text = some[0] if n == 1 else ", ".join(some[:-1]) + " and " + some[-1]
        return expand(rng, "[Name|List|Tell me|Give me] %s %s[.|]" % (words[n] if rng.random() < 0.7 else n, asked)), capital(text) + "."
    other = rng.choice([k for k in GROUPS if k != kind])
    word = rng.choice(GROUPS[kind])
    asked = kind if rng.random() < 0.5 or word in GROUPS[other] else other
    if kind == "bird":
        asked = "bird" if asked != "bird" and asked == "animal" else asked
    name = word if kind in ("day", "month", "colour") else article(word)
    return "Is %s %s?" % (name, article(asked)), "%s, %s is %s." % ("Yes" if asked == kind else "No", name, article(kind))


def spell(rng, words):
    word = rng.choice(words)
    dice = rng.random()
    if dice < 0.7:
        return expand(rng, "[How do you spell %s?|Spell %s.|Please spell the word %s.|Spell the word %s.]" % ((word,) * 4)), "-".join(word.upper()) + "."
    if dice < 0.85:
        return "What is the first letter of %s?" % word, "The first letter of %s is %s." % (word, word[0].upper())
    return "What is the last letter of %s?" % word, "The last letter of %s is %s." % (word, word[-1].upper())


def ask(rng, words):
    dice = rng.random()
    if dice < 0.22:
        return capital_of(rng)
    if dice < 0.30:
        return spell(rng, words)
    if dice < 0.38:
        return rng.choice(YES_NO)
    if dice < 0.50:
        q, a = rng.choice(MISC)
        return expand(rng, q), a
    return rng.choice((calendar, colour_of, opposite, sound, young, legs, what_is, what_is, group))(rng)
