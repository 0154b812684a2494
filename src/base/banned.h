// Include last, in .c files only: calls that are never right here become compile errors.
#pragma once
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gmtime localtime atoi atol atof gets
